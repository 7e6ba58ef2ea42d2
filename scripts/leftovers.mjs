// Tests must end what they start.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const boundMs = 10_000

/**
 * Waits for the processes that name the run's temporary folder in their command line or environment to end, and kills
 * those that do not. Counts as one test, that none was left.
 */
export async function endLeftovers(temporary) {
  if (process.platform !== 'linux') return { passed: 0, failed: 0, skipped: 0, problems: [] }
  const end = performance.now() + boundMs
  while (performance.now() < end && processesOf(temporary).length > 0) await sleep(100)
  const left = processesOf(temporary)
  for (const { pid } of left) kill(pid)
  const problems = left.map(({ pid, command }) => `Left running by a test: ${pid} ${command.slice(0, 200)}`)
  return { passed: left.length === 0 ? 1 : 0, failed: left.length === 0 ? 0 : 1, skipped: 0, problems }
}

function processesOf(temporary) {
  const found = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const command = read(`/proc/${name}/cmdline`)
    if (`${command}\0${read(`/proc/${name}/environ`)}`.includes(temporary))
      found.push({ pid: Number(name), command: command.replaceAll('\0', ' ').trim() })
  }
  return found
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // It ended, or it is another user's.
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended meanwhile.
  }
}
