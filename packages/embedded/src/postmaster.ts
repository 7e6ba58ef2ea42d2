import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Cluster, reach, serverEnvironment } from './cluster.js'
import { EmbeddedStartError } from './errors.js'
import { clusterToken, ownerToken } from './liveness.js'

/** A start is given up after this long without a line of PostgreSQL; a long recovery prints one every 10 s. */
const silenceMs = 60_000
/** A stop waits this long for clients, then takes PostgreSQL down as a crash would: the next start recovers. */
const fastStopMs = 15_000
const immediateStopMs = 5_000

/**
 * Runs PostgreSQL and stops it when stdin ends, which the kernel sees to even when our process is killed with -9.
 * Descriptor 3 may be the data folder and stays open for the server.
 */
const guard = `
exec 9<&0; socket=$1; shift
"$@" </dev/null 9<&- & server=$!
(read -r _ <&9; kill -INT $server) & reader=$!
wait $server; code=$?
kill $reader 2>/dev/null; rmdir "$socket" 2>/dev/null
exit $code`

export interface PostmasterOptions {
  readonly cluster: Cluster
  readonly socketDir: string
  readonly settings: Readonly<Record<string, string>>
  readonly log: (line: string) => void
}

/** One running server process. */
export interface Postmaster {
  readonly pid: number
  /** Resolves when it has ended, for whatever reason, with how. Never rejects. */
  readonly ended: Promise<string>
  /** Whether we asked it to end. */
  readonly isDismissed: boolean
  stop(): Promise<void>
  kill(): void
}

/** Starts the server; resolves when it accepts connections. */
export async function startPostmaster({ cluster, socketDir, settings, log }: PostmasterOptions): Promise<Postmaster> {
  const { path, fd } = reach(cluster.folder, cluster.account)
  const args = Object.entries({
    ...settings,
    listen_addresses: '',
    unix_socket_directories: socketDir,
    'tidemark.owner': ownerToken(),
    'tidemark.cluster': clusterToken(cluster.folder),
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn('/bin/sh', ['-c', guard, 'guard', socketDir, cluster.binaries.postgres, '-D', path, ...args], {
    ...cluster.account,
    env: serverEnvironment(),
    cwd: '/',
    // Out of the terminal's group: ^C must reach us first, so that we stop in order.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe', fd ?? 'ignore'],
  })
  if (fd !== undefined) fs.closeSync(fd)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  await ready(child, log)
  const pid = Number(fs.readFileSync(join(cluster.folder, 'postmaster.pid'), 'utf8').split('\n')[0])
  // A program that forgets to stop us may still end; the guard then stops the server.
  hold(child, false)
  let isDismissed = false
  return {
    pid,
    ended,
    get isDismissed() {
      return isDismissed
    },
    kill() {
      isDismissed = true
      killTree(pid)
    },
    async stop() {
      isDismissed = true
      hold(child, true)
      child.stdin!.end()
      const timers = [
        setTimeout(() => trySignal(pid, 'SIGQUIT'), fastStopMs),
        setTimeout(() => killTree(pid), fastStopMs + immediateStopMs),
      ]
      await ended
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

function ready(child: ChildProcess, log: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const output: string[] = []
    let isStarted = false
    const fail = (what: string) => reject(new EmbeddedStartError(what, output.slice(-10)))
    const silent = setTimeout(() => {
      fail(`PostgreSQL has said nothing for ${silenceMs / 1000} s and is not ready.`)
      child.stdin!.end()
    }, silenceMs)
    createInterface({ input: child.stderr! }).on('line', (line) => {
      log(line)
      if (isStarted) return
      silent.refresh()
      output.push(line)
      if (!/database system is ready to accept (read-only )?connections/.test(line)) return
      isStarted = true
      clearTimeout(silent)
      resolve()
    })
    // EPIPE on a guard that has ended is told by its exit.
    child.stdin!.on('error', () => {})
    child.once('error', (error) => fail(`PostgreSQL could not be run: ${error.message}.`))
    child.once('close', (code, signal) => {
      clearTimeout(silent)
      fail(`PostgreSQL ended while it started (${signal ?? `exit code ${code}`}).`)
    })
  })
}

function hold(child: ChildProcess, isHeld: boolean): void {
  const verb = isHeld ? 'ref' : 'unref'
  child[verb]()
  for (const stream of [child.stdin, child.stderr]) (stream as Socket)[verb]()
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** As a power cut: the postmaster is frozen first, so that it starts no child while the children are collected. */
function killTree(pid: number): void {
  trySignal(pid, 'SIGSTOP')
  for (const child of childrenOf(pid)) trySignal(child, 'SIGKILL')
  trySignal(pid, 'SIGKILL')
}

function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') {
    const list = execFileSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
    return list
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([pid, ppid]) => (ppid === parent ? [pid!] : []))
  }
  return fs.readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent ? [Number(name)] : []
    } catch {
      return [] // It ended while we looked.
    }
  })
}
