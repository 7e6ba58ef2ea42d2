import * as fs from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './cluster.js'
import { DataInUseError } from './errors.js'
import { clusterToken, commandOf, isAlive, isOwnerAlive, ownerPid } from './liveness.js'
import { disownLock, readLock } from './lock.js'

/** How long a leftover server may take to stop by itself before it is stopped at once, and then given up. */
const fastMs = 10_000
const giveUpMs = 30_000

/**
 * Makes sure that no server runs on the cluster: waits for one whose owner died (its guard is stopping it), and stops
 * one that also lost its guard.
 *
 * @throws DataInUseError if a server runs there for a process that lives, or for one that we cannot tell.
 */
export async function stopLeftover(cluster: Cluster): Promise<void> {
  const began = performance.now()
  let sent: NodeJS.Signals | undefined
  let socketDir: string | undefined
  for (;;) {
    const lock = readLock(cluster.folder)
    socketDir = lock?.socketDir ?? socketDir
    if (lock === undefined || !isAlive(lock.pid)) break
    const { pid } = lock
    const server = serverOf(pid, cluster.folder)
    if (server.kind === 'unknown') break
    if (server.kind === 'other') {
      disownLock(cluster.folder, pid)
      break
    }
    if (server.kind === 'foreign') throw new DataInUseError(cluster.dataDir, pid)
    if (isOwnerAlive(server.owner)) throw new DataInUseError(cluster.dataDir, ownerPid(server.owner))
    const waited = performance.now() - began
    if (waited > giveUpMs) throw new DataInUseError(cluster.dataDir, pid)
    const signal = waited > fastMs ? 'SIGQUIT' : 'SIGINT'
    if (sent !== signal) {
      sent = signal
      trySignal(pid, signal)
    }
    await sleep(20)
  }
  removeSocketDir(socketDir)
}

/** The guard does this; a server that lost its guard leaves the folder, and PostgreSQL has emptied it. */
function removeSocketDir(folder: string | undefined): void {
  try {
    if (folder !== undefined && basename(folder).startsWith('tidemark-')) fs.rmdirSync(folder)
  } catch {
    // Gone, not empty, or not ours: an empty folder in the temporary folder harms nobody.
  }
}

type Server =
  | { readonly kind: 'ours'; readonly owner: string }
  /** A server on this cluster that was not started by this launcher. */
  | { readonly kind: 'foreign' }
  /** Another program, or a server on another cluster. */
  | { readonly kind: 'other' }
  /** Not ours to see; PostgreSQL's own checks decide. */
  | { readonly kind: 'unknown' }

function serverOf(pid: number, folder: string): Server {
  const command = commandOf(pid)
  if (command === undefined) return { kind: 'unknown' }
  const owner = /tidemark\.owner=(\d+-[^\s\0]+)/.exec(command)?.[1]
  if (owner !== undefined && command.includes(`tidemark.cluster=${clusterToken(folder)}`))
    return { kind: 'ours', owner }
  if (!/(^|\/)postgres(\0|\s|$)/.test(command)) return { kind: 'other' }
  if (command.includes(folder)) return { kind: 'foreign' }
  try {
    return { kind: fs.readlinkSync(`/proc/${pid}/cwd`) === fs.realpathSync(folder) ? 'foreign' : 'other' }
  } catch {
    return { kind: 'unknown' }
  }
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone, or not ours to stop: the caller goes on waiting, with a bound.
  }
}
