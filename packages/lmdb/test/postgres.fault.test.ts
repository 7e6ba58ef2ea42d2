import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { postgres } from '@tidemark/postgres'
import pg from 'pg'
import { type Cache, createCache, parsePosition } from 'tidemark'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { lmdbL2 } from '../src/index.js'
import type { Report, Said } from './member.js'
import { type Process, Program, until } from './processes.js'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.js'

const ITEMS = 200

let program: Program
let database: TestDatabase
let admin: pg.Client
let folder: TemporaryFolder
const running = new Set<Process>()
const caches: Cache<object>[] = []

beforeAll(async () => {
  program = await Program.of('member.ts')
  database = await testDatabase()
  admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  await admin.query('create table items (id int primary key, version int not null)')
})

afterAll(async () => {
  await admin?.end()
  await database?.drop()
  program?.remove()
})

beforeEach(async () => {
  folder = temporaryFolder()
  await admin.query('truncate items')
  await admin.query('insert into items select id, 0 from generate_series(1, $1) id', [ITEMS])
})

afterEach(async () => {
  for (const member of running) await member.kill()
  running.clear()
  for (const cache of caches.splice(0)) await cache.close()
  folder.remove()
})

/** What was committed, and where in the log it was by then at the latest. */
class Truth {
  readonly #commits: { readonly version: number; readonly lsn: number }[][] = Array.from(
    { length: ITEMS + 1 },
    () => [],
  )
  writes = 0

  async write(id: number): Promise<void> {
    const commits = this.#commits[id]!
    const version = (commits.at(-1)?.version ?? 0) + 1
    await admin.query('update items set version = $1 where id = $2', [version, id])
    const { rows } = await admin.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
    commits.push({ version, lsn: parsePosition(rows[0]!.lsn).lsn })
    this.writes++
  }

  versionOf(id: number): number {
    return this.#commits[id]!.at(-1)?.version ?? 0
  }

  /** Whether the answer is older than a commit at or before its own position. */
  isStale([id, version, state, , asOf]: Said): boolean {
    if (state !== 'fresh' || asOf === undefined) return false
    const { lsn } = parsePosition(asOf)
    return this.#commits[id]!.some((commit) => commit.version > version && commit.lsn <= lsn)
  }
}

test('processes that share the file answer nothing stale, while rows change and processes are killed', async () => {
  const truth = new Truth()
  const answers: Said[] = []
  const latest = new Map<number, Report>()
  const hits = new Map<number, number>()
  const hear = (message: unknown) => {
    const report = message as Report
    answers.push(...report.said)
    latest.set(report.pid, report)
    const ofL2 = report.said.filter(([, , , from]) => from === 'l2').length
    hits.set(report.pid, (hits.get(report.pid) ?? 0) + ofL2)
  }
  const start = (workers = 0) => {
    const member = program.start({ url: database.url, path: folder.path, items: ITEMS, workers }, hear)
    running.add(member)
    return member
  }
  start(2)
  const single = [start(), start()]
  // Four processes that read, two of them workers of one cluster.
  await until(() => [...hits.values()].filter((count) => count > 50).length === 4, 'all four are answered by L2')
  let random = 7
  const write = async (times: number) => {
    for (let i = 0; i < times; i++) {
      random = (random * 48_271) % 2_147_483_647
      await truth.write(1 + (random % ITEMS))
    }
  }
  for (let round = 0; round < 3; round++) {
    await write(150)
    const killed = single.shift()!
    await killed.kill()
    running.delete(killed)
    await write(50)
    const before = new Set(hits.keys())
    single.push(start())
    await until(() => [...hits].some(([pid, count]) => !before.has(pid) && count > 50), 'the new one is answered by L2')
  }
  await write(200)
  const settledAt = answers.length
  await until(() => {
    const last = new Map(answers.slice(settledAt).map(([id, version]) => [id, version]))
    return [...last].length === ITEMS && [...last].every(([id, version]) => version === truth.versionOf(id))
  }, 'all see the last version of all')

  expect(answers.filter((answer) => truth.isStale(answer))).toEqual([])
  const from = (tier: string) => answers.filter(([, , , from]) => from === tier).length
  expect(from('l2')).toBeGreaterThan(1_000)
  expect([...latest.values()].reduce((sum, { unreadable }) => sum + unreadable, 0)).toBe(0)
  expect(truth.writes).toBe(800)
  console.log(
    `${answers.length} answers, of L2 ${from('l2')}, of L1 ${from('l1')}, of the source ${from('source')}; 0 stale`,
  )
}, 240_000)

function cacheOn(): { readonly cache: Cache<object>; read(id: number): Promise<Said> } {
  const cache = createCache({ source: postgres({ url: database.url }), l2: lmdbL2({ path: folder.path }) })
  caches.push(cache)
  const item = cache.define('item', ({ sql }, id: number) =>
    sql
      .query<{ version: number }>('select version from items where id = $1', [id])
      .then(({ rows }) => rows[0]!.version),
  )
  return {
    cache,
    async read(id) {
      const { value, state, from, asOf } = await item.ask(id)
      return [id, value, state, from, asOf]
    },
  }
}

const isReady = ({ cache }: ReturnType<typeof cacheOn>) => cache.status().keeping && cache.status().current

/** Until another process would be answered by L2. */
async function filled(one: ReturnType<typeof cacheOn>): Promise<void> {
  await until(async () => {
    await one.cache.invalidate({ keys: ['item(1)'] })
    const before = one.cache.counters.l2Stored
    await one.read(1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    return one.cache.counters.l2Stored > before
  }, 'an entry is stored in L2')
}

test('what one process has loaded another one need not; after all of them have ended, L2 starts empty', async () => {
  const one = cacheOn()
  await until(() => isReady(one), 'the first one follows')
  await filled(one)
  const two = cacheOn()
  await until(() => isReady(two), 'the second one follows')
  expect((await two.read(1))[3]).toBe('l2')
  await one.cache.close()
  await two.cache.close()
  // Nobody sees this one.
  await admin.query('update items set version = 1 where id = 1')
  const three = cacheOn()
  await until(() => isReady(three), 'a third one follows')
  const [, version, , from] = await three.read(1)
  expect([version, from]).toEqual([1, 'source'])
  await filled(three)
  const four = cacheOn()
  await until(() => isReady(four), 'a fourth one follows')
  const [, again, , shared] = await four.read(1)
  expect([again, shared]).toEqual([1, 'l2'])
})
