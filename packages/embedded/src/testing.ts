import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Embedded, startEmbedded } from './server.js'

/** A fresh database for one test or one test file. */
export interface TestDatabase {
  readonly url: string
  /** The server, which other databases of this module's share; stop, kill or restart only one of your own (`settings`). */
  readonly server: Embedded
  /** Drops the database; with the last one the server stops and its files go. */
  drop(): Promise<void>
}

export interface TestDatabaseOptions {
  /** PostgreSQL settings; giving any, even `{}`, starts a server of this test's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** The folder of another PostgreSQL's binaries; giving one starts a server of this test's own. Default: `TIDEMARK_TEST_POSTGRES`. */
  readonly binDir?: string
}

interface Shared {
  readonly server: Promise<Embedded>
  users: number
}

let shared: Shared | undefined
let count = 0

/** Makes a database on a temporary server, which all calls in a test file share unless they ask for settings. */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const used = takeServer(options)
  const server = await used.server
  const name = `test_${++count}`
  const url = await server.createDatabase(name)
  let isDropped = false
  return {
    url,
    server,
    async drop() {
      if (isDropped) return
      isDropped = true
      used.users -= 1
      if (used.users > 0) return dropDatabase(server, name)
      if (shared === used) shared = undefined
      await server.stop()
      fs.rmSync(server.dataDir, { recursive: true, force: true })
    },
  }
}

function takeServer({ settings, binDir }: TestDatabaseOptions): Shared {
  if (settings !== undefined || binDir !== undefined)
    return { server: startTemporary(settings ?? {}, binDir), users: 1 }
  shared ??= { server: startTemporary({}, undefined), users: 0 }
  shared.users += 1
  return shared
}

async function startTemporary(
  settings: Readonly<Record<string, string>>,
  binDir = process.env.TIDEMARK_TEST_POSTGRES,
): Promise<Embedded> {
  const dataDir = fs.mkdtempSync(join(tmpdir(), 'tidemark-data-'))
  try {
    return await startEmbedded({ dataDir, settings, isDurable: false, ...(binDir ? { binDir } : {}) })
  } catch (error) {
    fs.rmSync(dataDir, { recursive: true, force: true })
    throw error
  }
}

/** Drops a database with its slots, and with whoever is connected. */
export async function dropDatabase(server: Embedded, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    // An active slot keeps its database, even from DROP … WITH (FORCE).
    const ours = 'from pg_replication_slots where database = $1'
    await client.query(`select pg_terminate_backend(active_pid) ${ours} and active`, [name])
    // Version 13 can't wait for it by itself.
    for (let look = 0; look < 500; look++) {
      const { rowCount } = await client.query(`select ${ours} and active`, [name])
      if (rowCount === 0) break
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await client.query(`select pg_drop_replication_slot(slot_name) ${ours} and not active`, [name])
    await client.query(`drop database ${pg.escapeIdentifier(name)} with (force)`)
  } finally {
    await client.end()
  }
}
