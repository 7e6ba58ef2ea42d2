import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { NoDatabaseError } from './errors.js'

export interface DatabaseChoice {
  readonly url?: string | undefined
  readonly data?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * The connection string of the database that a command means: `--url`, else `--data`'s private PostgreSQL, else
 * DATABASE_URL, else the private PostgreSQL of TIDEMARK_DATA or `.tidemark/`.
 *
 * @throws NoDatabaseError (`TIDEMARK_NO_DATABASE`) if none is named and none runs
 */
export function chooseDatabase({ url, data, env }: DatabaseChoice): string {
  if (url) return url
  if (!data && env.DATABASE_URL) return env.DATABASE_URL
  const dataDir = resolve(data ?? env.TIDEMARK_DATA ?? '.tidemark')
  const running = runningDatabase(dataDir)
  if (running === undefined) throw new NoDatabaseError(dataDir)
  return running
}

/** PostgreSQL's own postmaster.pid says who runs on a data folder: line 1 the process, 4 the port, 5 the socket's folder. */
function runningDatabase(dataDir: string): string | undefined {
  let lines: string[]
  try {
    lines = readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return undefined
  }
  const [pid, , , port, socketDir] = lines
  if (!socketDir || !isAlive(Number(pid))) return undefined
  return `postgresql://postgres@localhost:${port}/postgres?host=${encodeURIComponent(socketDir)}`
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Alive, but of another account.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
