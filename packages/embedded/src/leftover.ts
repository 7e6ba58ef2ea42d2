import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './cluster.js'
import { DataInUseError } from './errors.js'

/** How long a leftover server may take to stop by itself before it is stopped at once, and then given up. */
const fastMs = 10_000
const giveUpMs = 30_000

/** Names this process for as long as it lives: a pid alone is reused. Stands in the server's command line. */
export function ownerToken(): string {
  return `${process.pid}-${startTime(process.pid)}`
}

/**
 * Makes sure that no server runs on the cluster: waits for one whose owner died (its guard is stopping it), and stops
 * one that also lost its guard.
 *
 * @throws DataInUseError if a server runs there for a process that lives, or for one that we cannot tell.
 */
export async function stopLeftover(cluster: Cluster): Promise<void> {
  const began = performance.now()
  let sent: NodeJS.Signals | undefined
  for (;;) {
    const pid = lockPid(cluster)
    if (pid === undefined || !isAlive(pid)) return
    const server = serverOf(pid, cluster)
    if (server === 'other') return disownLock(cluster, pid)
    if (server.owner === undefined || isOwnerAlive(server.owner))
      throw new DataInUseError(cluster.dataDir, server.owner === undefined ? pid : ownerPid(server.owner))
    const waited = performance.now() - began
    if (waited > giveUpMs) throw new DataInUseError(cluster.dataDir, pid)
    const signal = waited > fastMs ? 'SIGQUIT' : 'SIGINT'
    if (sent !== signal) {
      sent = signal
      trySignal(pid, signal)
    }
    await sleep(20)
  }
}

function lockPid(cluster: Cluster): number | undefined {
  try {
    const pid = Number(fs.readFileSync(join(cluster.folder, 'postmaster.pid'), 'utf8').split('\n')[0])
    return Number.isInteger(pid) && pid > 0 ? pid : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * After a power cut the lock may name a pid that another program has now; PostgreSQL would refuse to start if it is one
 * of the same user. The file must not be deleted (it also names the shared memory by which PostgreSQL finds orphaned
 * backends), so it gets a pid that no process can have.
 */
function disownLock(cluster: Cluster, pid: number): void {
  const file = join(cluster.folder, 'postmaster.pid')
  const [, ...rest] = fs.readFileSync(file, 'utf8').split('\n')
  if (lockPid(cluster) === pid) fs.writeFileSync(file, [String(2 ** 31 - 2), ...rest].join('\n'))
}

/** Whether the process is a server on this cluster, and for whom it runs. */
function serverOf(pid: number, cluster: Cluster): 'other' | { owner: string | undefined } {
  let command: string
  try {
    if (process.platform === 'linux') {
      if (fs.readlinkSync(`/proc/${pid}/cwd`) !== fs.realpathSync(cluster.folder)) return 'other'
      command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    } else {
      command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      if (!command.includes(`-D ${cluster.folder}`)) return 'other'
    }
  } catch (error) {
    // It ended meanwhile, or it is another user's: the cluster is ours, so its server would be ours to see.
    if (isAlive(pid) && !['EACCES', 'EPERM', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error
    return 'other'
  }
  return { owner: /tidemark\.owner=(\d+-[^\s\0]+)/.exec(command)?.[1] }
}

const ownerPid = (owner: string): number => Number(owner.split('-')[0])

function isOwnerAlive(owner: string): boolean {
  const pid = ownerPid(owner)
  return isAlive(pid) && owner === `${pid}-${startTime(pid)}`
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone, or not ours to stop: the caller goes on waiting, with a bound.
  }
}

/** When a process started, in the system's own terms, without spaces. */
function startTime(pid: number): string {
  try {
    if (process.platform === 'linux') {
      // The second field is the program's name in parentheses and may hold spaces; the start is field 22.
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .replace(/\W+/g, '.')
  } catch {
    return 'unknown'
  }
}
