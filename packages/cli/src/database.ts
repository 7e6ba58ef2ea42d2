import { resolve } from 'node:path'
import { runningUrl } from '@tidemark/embedded'
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
  const running = runningUrl(dataDir)
  if (running === undefined) throw new NoDatabaseError(dataDir)
  return running
}
