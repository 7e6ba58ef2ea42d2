import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const START_MAX_MS = 60_000

/**
 * Starts the blog as `npm start` does after its build, in a process of its own.
 *
 * @param {{ dataDir: string, port?: number, env?: Record<string, string> }} options `port` 0, the default, is any free one
 * @throws Error with what it printed, if it ends
 */
export function startBlog(options) {
  return startExample(new URL('../start.js', import.meta.url), options)
}

/**
 * The same of any example that prints where it answers, and a line for psql.
 *
 * @param {URL} program
 * @param {Parameters<typeof startBlog>[0]} options
 */
export async function startExample(program, { dataDir, port = 0, env = {} }) {
  const { DATABASE_URL: _, ...inherited } = process.env
  const child = spawn(process.execPath, [fileURLToPath(program), '--port', String(port), '--data', dataDir], {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const printed = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    printed.err += text
  })
  const ended = once(child, 'exit')
  const all = () => `${printed.out}\n${printed.err}`
  await bounded(START_MAX_MS, 'it did not start', all, async () => {
    while (!/^psql .*\n/m.test(printed.out)) {
      if (child.exitCode !== null) throw new Error(`The blog ended with ${child.exitCode}:\n${all()}`)
      await Promise.race([once(child.stdout, 'data'), ended])
    }
  })
  const url = /^Tidemark is ready: (\S+)$/m.exec(printed.out)?.[1] ?? ''
  return {
    url,
    port: Number(new URL(url).port),
    /** The line to paste into another terminal. */
    psql: /^psql .*$/m.exec(printed.out)?.[0] ?? '',
    databaseUrl: /^psql '([^']+)'/m.exec(printed.out)?.[1] ?? '',
    printed,
    /** Whether it runs, else how it ended. */
    how: () => child.signalCode ?? (child.exitCode === null ? 'running' : `exit code ${child.exitCode}`),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    /** Stops it as a terminal does; resolves with the exit code. */
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), 20_000)
      const [code] = await ended
      clearTimeout(force)
      return code
    },
  }
}

/**
 * Asks until `check` holds, and fails with `what` when it does not in time.
 *
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} check
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, check, maxMs = 30_000) {
  const end = performance.now() + maxMs
  let last
  while (performance.now() < end) {
    try {
      const found = await check()
      if (found) return found
      last = found
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`Not within ${maxMs} ms: ${what} (last: ${last})`)
}

async function bounded(maxMs, what, details, run) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} in ${maxMs} ms:\n${details()}`)), maxMs)
  })
  try {
    await Promise.race([run(), late])
  } finally {
    clearTimeout(timer)
  }
}
