import { once } from 'node:events'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'
import { until } from './until.js'

/* A process is killed while it edits a large config: the edit is there as a whole or not at all, and the other process says the same. */

const NODES = 3_000
const KILLS = 2

let database: TestDatabase
let folder: ReturnType<typeof temporaryFolder>
const processes: ServerProcess[] = []

beforeAll(async () => {
  folder = temporaryFolder()
  database = await testDatabase({})
})
afterEach(async () => {
  for (const { process } of processes.splice(0)) {
    if (process.exitCode !== null || process.signalCode !== null) continue
    const gone = once(process, 'exit')
    process.kill('SIGKILL')
    await gone
  }
})
afterAll(async () => {
  await database?.drop()
  folder?.remove()
})

async function start(): Promise<ServerProcess> {
  const config = folder.write('tidemark.yaml', 'trees: { enabled: true }\nserver: { port: 0 }\n')
  const started = await startProcess({ config, logLevel: 'silent' }, { DATABASE_URL: database.url })
  processes.push(started)
  return started
}

const tree = (value: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: NODES }, (_, n) => [`n${n}`, value])))

it(`an edit of ${NODES} nodes whose process is killed is whole or absent, also in the other process`, async () => {
  const survivor = await start()
  const url = (process: ServerProcess) => `${process.said.url}/api/trees/T1/large`
  const put = (process: ServerProcess, value: number) =>
    fetch(url(process), { method: 'PUT', body: tree(value), headers: { 'content-type': 'application/json' } })
  expect((await put(survivor, 0)).status).toBe(200)
  let [now, wholes] = [0, 0]
  for (let kill = 1; kill <= KILLS; kill++) {
    const victim = await start()
    const edit = put(victim, kill).then(
      ({ status }) => status,
      () => 'cut off',
    )
    // Once it holds the config; and later, when it has written most of it.
    await until(async () => (await locks()) > 0)
    if (kill > 1) await until(async () => (await writes()) > 0)
    const gone = once(victim.process, 'exit')
    victim.process.kill('SIGKILL')
    await gone
    const answered = await edit
    // PostgreSQL finds out that its client has gone.
    await until(async () => (await locks()) === 0)
    const [{ at }] = (await sql(database.url, 'select pg_current_wal_insert_lsn()::text as at')) as [{ at: string }]
    const shown = await (await fetch(`${url(survivor)}?min-position=${at}`)).text()
    const whole = shown === tree(kill)
    expect(whole || shown === tree(now), `kill ${kill}: neither before nor after`).toBe(true)
    if (answered === 200) expect(whole).toBe(true)
    const rows = await sql(
      database.url,
      `select value::text, count(*)::int from tidemark_trees.configs where path <> '' group by 1`,
    )
    expect(rows).toEqual([{ value: String(whole ? kill : now), count: NODES }])
    const [{ edits }] = (await sql(database.url, 'select count(*)::int as edits from tidemark_trees.config_edits')) as [
      { edits: number },
    ]
    if (whole) [now, wholes] = [kill, wholes + 1]
    expect(edits).toBe(1 + wholes)
  }
}, 240_000)

/** Transactions that hold a config, and those that write its nodes. */
const locks = () => holders('config_heads', 'RowShareLock')
const writes = () => holders('configs', 'RowExclusiveLock')

async function holders(table: string, mode: string): Promise<number> {
  const [{ count }] = (await sql(
    database.url,
    `select count(*)::int as count from pg_locks l join pg_class c on c.oid = l.relation
     where c.relname = '${table}' and l.mode = '${mode}'`,
  )) as [{ count: number }]
  return count
}
