import * as fs from 'node:fs'
import { join } from 'node:path'

/** What PostgreSQL's lock file `postmaster.pid` says of the server on a cluster. */
export interface Lock {
  readonly pid: number
  /** Missing while the server starts. */
  readonly socketDir: string | undefined
}

/** Reads the lock; `undefined` if there is none, which is so when the server was stopped in order. */
export function readLock(folder: string): Lock | undefined {
  try {
    const lines = fs.readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')
    const pid = Number(lines[0])
    return Number.isInteger(pid) && pid > 0 ? { pid, socketDir: lines[4] || undefined } : undefined
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
export function disownLock(folder: string, pid: number): void {
  const file = join(folder, 'postmaster.pid')
  const [, ...rest] = fs.readFileSync(file, 'utf8').split('\n')
  if (readLock(folder)?.pid === pid) fs.writeFileSync(file, [String(2 ** 31 - 2), ...rest].join('\n'))
}
