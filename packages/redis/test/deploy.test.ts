import { postgres, type Sql } from '@tidemark/postgres'
import { type Cache, createCache } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { redisL2, redisRelay } from '../src/index.js'
import { Seals } from '../src/stream/seal.js'
import { Members } from './members.js'
import { appendRaw } from './raw-record.js'
import { until } from './redis-server.js'

// A rolling deploy: two versions of a program side by side, on one PostgreSQL, one relay and one L2.

const stream = 'tidemark:relay'
let members: Members
const programs: Program[] = []

type Load = (context: { sql: Sql }, id: number) => Promise<unknown>

interface Program {
  readonly cache: Cache<{ sql: Sql }>
  ask(minPosition?: string): Promise<unknown>
}

async function start(
  load: Load,
  versions: { readonly cache?: string; readonly entry?: string } = {},
): Promise<Program> {
  const url = new URL(members.database.url)
  // Another address for each: caches of one source in a process share its log.
  url.searchParams.set('application_name', `program${programs.length}`)
  const relay = redisRelay({ url: members.server.url, secret: 'ours' })
  const source = postgres({ url: url.href, slot: 'app', secret: 'ours', relay })
  const l2 = redisL2({ url: members.server.url, deadline: 2_000 })
  const cache = createCache({ source, l2, waitMax: 10_000, ...(versions.cache && { version: versions.cache }) })
  const counter = cache.define('counter', load, versions.entry === undefined ? {} : { version: versions.entry })
  const program: Program = {
    cache,
    ask: (minPosition) => counter.with(minPosition === undefined ? {} : { minPosition })(1),
  }
  programs.push(program)
  await until(() => cache.status().keeping && cache.status().current)
  return program
}

const plain: Load = async ({ sql }, id) => (await sql.one<{ n: number }>`select n from counters where id = ${id}`)!.n
const wrapped: Load = async ({ sql }, id) => ({
  counter: (await sql.one<{ n: number }>`select n from counters where id = ${id}`)!.n,
})

beforeEach(async () => {
  members = await Members.create()
})
afterEach(async () => {
  await Promise.all(programs.splice(0).map(({ cache }) => cache.close()))
  await members?.drop()
})

test.each([
  { what: 'whose loaders have another text', before: {}, after: {}, next: wrapped },
  { what: 'of another version of the cache', before: { cache: '1' }, after: { cache: '2' }, next: plain },
  { what: 'of another version of a definition', before: { entry: '1' }, after: { entry: '2' }, next: plain },
])('programs $what leave each other’s entries alone, and are as of each other’s positions', async (each) => {
  const old = await start(plain, each.before)
  const next = await start(each.next, each.after)
  const alike = await start(each.next, each.after)
  const told = (program: Program, n: number) => (program !== old && each.next === wrapped ? { counter: n } : n)
  for (let n = 1; n <= 12; n++) {
    const position = await members.add(1)
    for (const program of n % 2 === 0 ? [old, next, alike] : [next, old, alike]) {
      expect(await program.ask(position)).toEqual(told(program, n))
      await until(
        () => program.cache.counters.l2Stored + program.cache.counters.l2Refused >= program.cache.counters.kept,
      )
    }
  }
  // Those of one version share; the other one found nothing of theirs.
  expect(alike.cache.counters.l2Hits).toBeGreaterThan(0)
  expect(old.cache.counters.l2Hits).toBe(0)
})

test('what a newer leader relays in a form that is not known empties an older follower, which goes on', async () => {
  const leader = await start(plain)
  const follower = await start(plain)
  expect([leader, follower].map(({ cache }) => cache.status().log.role)).toEqual(['leader', 'follower'])
  await until(async () => (await follower.ask()) === 0 && follower.cache.status().entries === 1)
  const { log, tidemark } = follower.cache.status()
  const { counters } = follower.cache
  const before = { invalidated: counters.invalidated, gaps: counters.gaps }
  // As the leader of a version to come might tell of a commit: what stands where is as ever, what changed is not.
  const newest = (await members.server.admin.xrevrange(stream, '+', '-', 'COUNT', 1))[0]![1]
  const said = JSON.parse(newest[newest.indexOf('b') + 1]!) as { t: number }
  const unknown = { ...said, v: 2, x: undefined, k: true, f: said.t, t: said.t + 8, c: { packed: '…' } }
  const { body, seal, token } = new Seals('ours', stream).seal(JSON.stringify(unknown))
  await appendRaw(members.server.admin, stream, body, seal, token)
  await until(() => counters.invalidated > before.invalidated, 'the entry is stale')
  expect(follower.cache.status().tidemark).not.toBe(tidemark)
  expect(log.state).toBe('following')
  // It was not taken for a gap, and what comes after is applied.
  const position = await members.add(1)
  expect(await follower.ask(position)).toBe(1)
  expect(counters.gaps).toBe(before.gaps)
})
