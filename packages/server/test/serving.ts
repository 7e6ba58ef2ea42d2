import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'

export const BOUND = { timeout: 60_000 }

export const SCHEMA = `
  create table posts (id int primary key, author_id bigint not null, title text not null);
  create index on posts (author_id);
  insert into posts select n, n % 10, 'post ' || n from generate_series(1, 100) n;
`

export const CONFIG = `resources:
  post: { params: { id: bigint }, sql: select * from posts where id = :id, one: true }
  feed: { params: { author: bigint }, sql: "select id, title from posts where author_id = :author order by id" }
`

/** Runs statements on a connection of their own. */
export async function sql(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    const result = (await client.query(text)) as pg.QueryResult | pg.QueryResult[]
    return (Array.isArray(result) ? result.at(-1)! : result).rows
  } finally {
    await client.end()
  }
}

/** A folder that is removed with `remove`. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-server-'))
  return {
    path,
    write(name: string, text: string): string {
      writeFileSync(join(path, name), text)
      return join(path, name)
    },
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }),
  }
}

const PROGRAM = `
  const { serve } = await import(process.env.SERVER_SOURCE)
  try {
    const running = await serve(JSON.parse(process.env.SERVE_OPTIONS))
    console.log(JSON.stringify({ url: running.url, database: running.database.url }))
  } catch (error) {
    console.log(JSON.stringify({ code: error.code, message: error.message }))
    process.exitCode = 1
  }
`

export interface ServerProcess {
  readonly process: ChildProcess
  /** What it said once it listened. */
  readonly said: { readonly url: string; readonly database: string; readonly code?: string }
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

/** A server in a process of its own, which tests can kill. */
export async function startProcess(options: object, env: Record<string, string> = {}): Promise<ServerProcess> {
  const loader = new URL('../../postgres/test/typescript-loader.mjs', import.meta.url).href
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', loader, '--input-type=module', '-e', PROGRAM],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        ...env,
        SERVER_SOURCE: new URL('../src/index.ts', import.meta.url).href,
        SERVE_OPTIONS: JSON.stringify(options),
      },
    },
  )
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal)),
  )
  const line = await new Promise<string>((resolve, reject) => {
    // What is logged before is not what it says.
    createInterface({ input: child.stdout! }).on('line', (said) => {
      if (!said.startsWith('{"level"')) resolve(said)
    })
    // Not `exit`, which may come before what it said has been read.
    child.once('close', (code) => reject(new Error(`The server said nothing and ended with ${code}.`)))
  })
  return { process: child, said: JSON.parse(line), ended }
}
