import { resolve } from 'node:path'
import { runningUrl } from '@tidemark/embedded'
import type { Command } from 'commander'
import type pg from 'pg'
import { connect } from './connect.js'
import { NoDatabaseError } from './errors.js'
import { secretOf } from './secret.js'
import type { Terminal } from './terminal.js'

/** Options of the commands that look into a server's database. */
export interface DatabaseOptions {
  readonly url?: string
  readonly data?: string
  readonly json?: true
}

export interface DatabaseChoice {
  readonly url?: string | undefined
  readonly data?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * The connection string of the database that a command means: `--url`, else `--data`'s private PostgreSQL, else
 * DATABASE_URL (or its file), else the private PostgreSQL of TIDEMARK_DATA or `.tidemark/`.
 *
 * @throws NoDatabaseError (`TIDEMARK_NO_DATABASE`) if none is named and none runs; UsageError for a file that cannot be read
 */
export function chooseDatabase({ url, data, env }: DatabaseChoice): string {
  if (url) return url
  const named = data ? undefined : secretOf(env, 'DATABASE_URL')
  if (named) return named
  const dataDir = resolve(data ?? (env.TIDEMARK_DATA || '.tidemark'))
  const running = runningUrl(dataDir)
  if (running === undefined) throw new NoDatabaseError(dataDir)
  return running
}

/** The options that say which server's database. */
export function onDatabase(command: Command): Command {
  return command
    .option(
      '--url <connection>',
      "the server's database (default: DATABASE_URL, else the private PostgreSQL that runs)",
    )
    .option('--data <folder>', 'the folder of the private PostgreSQL (default: TIDEMARK_DATA, else .tidemark)')
    .option('--json', 'print JSON')
}

/** Runs with a connection of its own. @throws NoDatabaseError; SourceDownError; what `run` throws */
export async function onClient<Result>(
  { url, data }: DatabaseOptions,
  { env }: Terminal,
  applicationName: string,
  run: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(chooseDatabase({ url, data, env }), applicationName)
  try {
    return await run(client)
  } finally {
    await client.end().catch(() => {})
  }
}
