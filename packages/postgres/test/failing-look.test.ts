import { testDatabase } from '@tidemark/embedded/testing'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { SqlConnection } from '../src/wal/connection.js'
import { Tables } from '../src/wal/tables.js'
import { Visibility } from '../src/wal/visibility.js'

/** A connection of which the query so many queries from now fails, as if it had been cut. */
class Failing extends SqlConnection {
  failsIn = Number.POSITIVE_INFINITY

  override use<Result>(run: (client: Client) => Promise<Result>): Promise<Result> {
    if (this.failsIn-- === 0) return Promise.reject(new Error('The connection was cut.'))
    return super.use(run)
  }
}

// It was wrong where the look had noted the new fingerprint, and then failed to read what had changed.
test('a look at the catalogue that fails midway is made again, wherever it fails, and loses nothing', async () => {
  const database = await testDatabase()
  const open = async (): Promise<Client> => {
    const client = new Client({ connectionString: database.url })
    await client.connect()
    return client
  }
  const admin = await open()
  await admin.query('create table posts (id int primary key)')
  const sql = new Failing(open, 15_000)
  const probes = new SqlConnection(open, 15_000)
  const tables = new Tables(sql, new Visibility(probes), 'tidemark', () => {})
  const { rows } = await admin.query("select current_setting('server_version_num')::int as version")
  await tables.prepare(rows[0].version)
  tables.slotCreated()

  const changes = [
    (n: number) => `alter table posts add column c${n} int default 1`,
    (n: number) => `create table other${n} (id int primary key)`,
    () => 'drop publication tidemark',
  ]
  for (const change of changes) {
    let failed = 0
    for (let n = 0; ; n++) {
      await admin.query(change(n))
      sql.failsIn = n
      const first = await tables.poll().catch(() => undefined)
      const hasFailed = sql.failsIn < 0
      sql.failsIn = Number.POSITIVE_INFINITY
      if (!first) failed++
      const second = await tables.poll()
      const [found, ...rest] = [first, second].filter((each) => each !== undefined)
      const isFound = [found!, ...rest].some((each) => each.definitions !== undefined || each.isPublicationGone)
      expect(isFound, `${change(n)}, failed at query ${n}`).toBe(true)
      if (change(n).startsWith('create')) expect(second.definitions, 'it is told until it was').toBeDefined()
      tables.told()
      if (!hasFailed) break
    }
    expect(failed).toBeGreaterThan(0)
  }
  await Promise.all([admin.end(), sql.close(), probes.close()])
  await database.drop()
})
