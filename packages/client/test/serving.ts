import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { parseConfig, type Running, serve } from '@tidemark/server'
import pg from 'pg'
import { freePort } from '../../../test/free-port.js'

/** A server with config trees and a resource, on a database of its own, which can be stopped and started where it was. */
export interface Served {
  readonly database: TestDatabase
  readonly running: Running
  stop(): Promise<void>
  start(): Promise<Running>
  close(): Promise<void>
  sql(text: string): Promise<void>
}

export async function served(options: { readonly access?: string; readonly static?: string } = {}): Promise<Served> {
  const database = await testDatabase({ settings: {} })
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-client-'))
  const text = `source: { url: "${database.url}" }
trees: { enabled: true }
${options.access ?? ''}
resources:
  feed: { params: { author: bigint }, sql: "select id, title from posts where author_id = :author order by id" }
`
  const sql = async (statement: string) => {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(statement).finally(() => client.end())
  }
  await sql('create table posts (id int primary key, author_id bigint, title text)')
  const config = parseConfig(text, 'x.yaml', {})
  let running: Running | undefined
  const port = await freePort()
  const start = async () => {
    const pages = options.static === undefined ? {} : { static: options.static }
    running = await serve({ config, port, env: {}, dataDir: folder, signals: false, logLevel: 'silent', ...pages })
    return running
  }
  await start()
  return {
    database,
    get running() {
      return running!
    },
    stop: async () => {
      await running!.close()
    },
    start,
    sql,
    async close() {
      await running?.close()
      await database.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never came true: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
