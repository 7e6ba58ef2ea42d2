import { join } from 'node:path'
import { OptionError } from 'tidemark'
import { isAlive } from './liveness.js'
import { readLock } from './lock.js'

/** Where PostgreSQL's own files lie in a data folder. */
export function clusterFolder(dataDir: string): string {
  return join(dataDir, 'postgres')
}

/** The connection string of a database of the server whose socket lies in a folder; `pg` and psql accept it. */
export function databaseUrl(socketDir: string, name: string): string {
  if (/[?#]/.test(name))
    throw new OptionError('database: pg cannot be given a name with ? or # in a connection string.')
  // The port is said although it is the default: PGPORT would change it.
  return `postgresql://postgres@localhost:5432/${encodeURI(name)}?host=${encodeURIComponent(socketDir)}`
}

/**
 * The connection string of the server that runs on a data folder, for programs beside the one that started it.
 *
 * @returns `undefined` if none runs there, or the folder is not ours to read
 */
export function runningUrl(dataDir: string): string | undefined {
  try {
    const lock = readLock(clusterFolder(dataDir))
    return lock?.socketDir !== undefined && isAlive(lock.pid) ? databaseUrl(lock.socketDir, 'postgres') : undefined
  } catch {
    return undefined
  }
}
