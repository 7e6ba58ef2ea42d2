import { createCache } from 'tidemark'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { postgres } from '../src/index.js'
import { until, type World, world } from './recorder.js'

/** Following with roles as managed services give them: they may replicate, and own nothing. */
let db: World

beforeAll(async () => {
  db = await world({})
  await db.sql(
    'create table theirs (id int primary key, v int)',
    'create publication tidemark for table theirs',
    'create role app login replication',
    'create role other login replication',
  )
})

afterAll(async () => {
  await db?.end()
})

function as(role: string): string {
  const url = new URL(db.url)
  url.username = role
  return url.href
}

test('a role that owns nothing follows through a slot of its own and through the shared one, and drops that', async () => {
  for (const options of [{}, { slot: 'shared' }]) {
    const log = await db.log({ url: as('app'), ...options })
    expect(log.log.followed('public.theirs')).toBeDefined()
    await db.sql('insert into theirs values (1, 1)', 'delete from theirs')
    expect(await log.rowsSince()).toHaveLength(2)
    await log.log.close()
  }
  const problems: string[] = []
  const log = await db.log({
    url: as('app'),
    slot: 'shared',
    slotKeepMax: 0,
    onProblem: ({ code }) => problems.push(code),
  })
  expect(problems).toContain('TIDEMARK_SLOT')
  await log.log.close()
  await db.sql("select pg_drop_replication_slot('shared') from pg_replication_slots where slot_name = 'shared'")
})

test('the time limits of the role do not reach into what Tidemark does', async () => {
  const limits = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
  if (!isBefore(14)) limits.push('idle_session_timeout')
  if (!isBefore(17)) limits.push('transaction_timeout')
  for (const limit of limits) await db.sql(`alter role app set ${limit} = '${limit.startsWith('idle') ? 500 : 100}ms'`)
  const log = await db.log({ url: as('app') })
  await db.sql('insert into theirs select n, n from generate_series(1, 300000) n')
  await log.caughtUp()
  await db.sql('delete from theirs where id > 10')
  await log.caughtUp()
  expect(log.losses).toEqual([])
  for (const limit of limits) await db.sql(`alter role app reset ${limit}`)
  await log.log.close()
})

test('a shared slot that another role holds, and that has to be dropped, is told with the grant', async () => {
  const holder = await db.log({ url: as('other'), slot: 'held' })
  const log = db.open({ url: as('app'), slot: 'held', slotKeepMax: 0 })
  await until(
    () => log.losses.length > 0,
    () => log.log.status().reason,
  )
  expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_RIGHTS', sql: 'grant pg_signal_backend to app' })
  await db.sql('grant pg_signal_backend to app')
  await until(() => holder.losses.length > 0)
  await log.log.close()
  await holder.log.close()
})

test('what a role reads that may not ask for the identifier of the server is kept', async () => {
  await db.sql('grant select on theirs to app', 'revoke execute on function pg_control_system() from public')
  const source = postgres({ url: as('app') })
  const cache = createCache({ source })
  try {
    await until(() => cache.status().keeping && cache.status().current)
    const count = cache.define('count', ({ sql }) => sql.one`select count(*)::int as n from theirs`)
    await until(
      async () => (await count.ask()).from === 'l1',
      () => `it is not kept: ${cache.explain('count()').notKept}`,
    )
    await db.sql('insert into theirs values (1000001, 1)')
    await until(() => count.peek() === undefined)
  } finally {
    await cache.close()
    await db.sql('grant execute on function pg_control_system() to public')
  }
})

test('what is wrong and does not stop following is said by a warning of the process', async () => {
  const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  await db.sql('create table unpublished (id int primary key)')
  const cache = createCache({ source: postgres({ url: as('app') }) })
  try {
    await until(() => warning.mock.calls.length > 0)
    const [message, options] = warning.mock.calls[0] as unknown as [string, { code: string }]
    expect(options).toMatchObject({ type: 'TidemarkNotice', code: 'TIDEMARK_RIGHTS' })
    expect(message).toMatch(/alter publication "?tidemark"? add table only public\.unpublished/)
  } finally {
    warning.mockRestore()
    await cache.close()
  }
})
