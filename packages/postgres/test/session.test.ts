import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { Sql } from '../src/index.js'
import { notKept, until, World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create(`
    create role reader_a;
    create role reader_b;
    create table secrets (id int primary key, owner text, v text);
    create table grants (id int primary key, owner text);
    insert into secrets values (1, 'reader_a', 'a'), (2, 'reader_b', 'b'), (3, 'x', 'x');
    insert into grants values (1, 'reader_a'), (2, 'reader_b');
    alter table secrets enable row level security;
    alter table secrets force row level security;
    create policy own on secrets using (owner in (current_user, current_setting('app.owner', true)) and exists (select from grants g where g.owner = secrets.owner or g.owner = 'all'));
    grant select on all tables in schema public to reader_a, reader_b;
    create view shown as select * from secrets;
    grant select on shown to reader_a;
    create function hide() returns text language plpgsql stable as $$ begin return current_setting('app.owner', true); end $$;
    create function tell() returns text language sql stable as $$ select current_setting('app.owner', true) $$;
  `)
})
afterEach(() => world.closeCaches())
afterAll(async () => {
  await world.admin.query('drop owned by reader_a, reader_b; drop role reader_a, reader_b')
  await world.drop()
})

interface Secret {
  v: string
}

/** A role without the superuser's right to see everything. */
async function opened() {
  const { cache, source } = await world.open()
  const secrets = cache.define('secrets', async ({ sql }) =>
    (await sql.many<Secret>`select * from secrets order by id`).map(({ v }) => v),
  )
  return { cache, source, secrets }
}

it('sets the declared session for the query alone, and keeps each session by itself', async () => {
  const { cache, secrets } = await opened()
  const asA = cache.as({ role: 'reader_a' })
  const asB = cache.as({ role: 'reader_b', timeZone: 'Asia/Tokyo', settings: { 'app.owner': 'x' } })
  await until(async () => (await asA.in(secrets).ask()).from === 'l1')
  await until(async () => (await asB.in(secrets).ask()).from === 'l1')
  expect(asA.in(secrets).peek()).toEqual(['a'])
  expect(asB.in(secrets).peek()).toEqual(['b'])
  // The superuser, to whom no policy applies.
  expect(await secrets()).toEqual(['a', 'b', 'x'])
  const plain = cache.get(
    'who',
    ({ sql }) =>
      sql.one`select current_user as who, current_setting('TimeZone') as zone, current_setting('app.owner', true) as owner`,
  )
  expect(await plain).toMatchObject({
    who: 'postgres',
    zone: expect.not.stringContaining('Tokyo'),
    owner: expect.toSatisfy((owner) => !owner),
  })
})

it('depends on what a policy reads', async () => {
  const { cache, secrets } = await opened()
  const asB = cache.as({ role: 'reader_b', settings: { 'app.owner': 'x' } }).in(secrets)
  await until(async () => (await asB.ask()).from === 'l1')
  await world.admin.query("insert into grants values (3, 'x')")
  await until(() => asB.peek() === undefined)
  expect(await asB()).toEqual(['b', 'x'])
  await world.admin.query('delete from grants where id = 3')
})

it('is dropped by an update of what it reads, or of what a policy decides by, and by no other', async () => {
  const { cache } = await opened()
  await world.admin.query(`
    create table walled (id int primary key, owner text, note text, seen int);
    alter table walled replica identity full;
    alter table walled enable row level security;
    create policy own on walled using (owner = current_user or (select count(*) from grants) = 0);
    create table whole (id int primary key, owner text, seen int);
    alter table whole replica identity full;
    alter table whole enable row level security;
    create policy own on whole using (whole is not null and to_jsonb(whole) ->> 'owner' = current_user);
    grant select on walled, whole to reader_a;
    insert into walled values (1, 'reader_a', 'a', 0), (2, 'reader_b', 'b', 0);
    insert into whole values (1, 'reader_a', 0)`)
  await cache.settled()
  const asA = cache.as({ role: 'reader_a' })
  const notes = asA.in(cache.define('notes', ({ sql }) => sql.many`select id, note from walled order by id`))
  const wholes = asA.in(cache.define('wholes', ({ sql }) => sql.many`select id from whole`))
  const kept = async () => {
    await until(async () => (await notes.ask()).from === 'l1' && (await wholes.ask()).from === 'l1')
    return [notes.peek(), wholes.peek()]
  }
  expect(await kept()).toEqual([[{ id: 1, note: 'a' }], [{ id: 1 }]])

  await world.admin.query('update walled set seen = 1')
  await cache.settled()
  expect([notes.peek(), wholes.peek()]).not.toContain(undefined)
  await world.admin.query('update whole set seen = 1')
  await cache.settled()
  expect(wholes.peek()).toBeUndefined()

  await kept()
  await world.admin.query("update walled set note = 'c' where id = 1")
  await cache.settled()
  expect(notes.peek()).toBeUndefined()
  expect(await kept()).toEqual([[{ id: 1, note: 'c' }], [{ id: 1 }]])
  await world.admin.query("update walled set owner = 'reader_a' where id = 2")
  await cache.settled()
  expect(await kept()).toEqual([
    [
      { id: 1, note: 'c' },
      { id: 2, note: 'b' },
    ],
    [{ id: 1 }],
  ])
  await world.admin.query('drop table walled, whole')
})

it('keeps nothing that depends on a session that was not declared', async () => {
  const { cache } = await opened()
  const asA = cache.as({ role: 'reader_a' })
  expect(await notKept(cache, ({ sql }) => sql.one`select current_user, g.* from grants g where id = 1`)).toBe(
    'session',
  )
  expect(await notKept(asA, ({ sql }) => sql.one`select current_user, g.* from grants g where id = 1`)).toBeUndefined()
  expect(await notKept(asA, ({ sql }) => sql.many`select * from secrets`)).toBeUndefined()
  // The superuser, to whom no policy applies, unless through a view, whose owner may be another.
  expect(await notKept(cache, ({ sql }) => sql.many`select * from secrets`)).toBeUndefined()
  expect(await notKept(cache, ({ sql }) => sql.many`select * from shown`)).toBe('row-security')
  expect(await notKept(asA, ({ sql }) => sql.many`select * from shown`)).toBeUndefined()
  expect(await notKept(asA, ({ sql }) => sql.one`select hide(), g.* from grants g where id = 1`)).toBe('function')
  // Into this one can be looked.
  expect(await notKept(cache, ({ sql }) => sql.one`select tell(), g.* from grants g where id = 1`)).toBe('session')
  expect(await notKept(asA, ({ sql }) => sql.one`select tell(), g.* from grants g where id = 1`)).toBeUndefined()
})

it('keeps nothing where a setting has SQL read otherwise than it is analysed', async () => {
  const url = new URL(world.database.url)
  const read = ({ sql }: { sql: Sql }) => sql.query('select id from grants where owner = null')
  for (const [name, value] of [
    ['standard_conforming_strings', 'off'],
    ['transform_null_equals', 'on'],
  ] as const) {
    const { cache } = await world.open()
    expect(await notKept(cache, read)).toBeUndefined()
    expect(await notKept(cache.as({ settings: { [name]: value } }), read)).toBe('not-understood')
    url.searchParams.set('options', `-c ${name}=${value}`)
    const other = await world.open({ url: String(url) })
    expect(await notKept(other.cache, read)).toBe('not-understood')
  }
})

it('rejects a session that cannot be set, and reads nothing', async () => {
  const { cache, secrets } = await opened()
  await expect(cache.as({ role: 'nobody_here' }).in(secrets)()).rejects.toMatchObject({
    code: 'TIDEMARK_SQL',
    sqlState: '22023',
  })
  await expect(cache.as({ timeZone: 'Nowhere/None' }).in(secrets)()).rejects.toMatchObject({ sqlState: '22023' })
  expect(await cache.as({ role: 'reader_a' }).in(secrets)()).toEqual(['a'])
})

it('does not use a connection again on which a setting was changed', async () => {
  const { cache, source } = await world.open({ pool: { max: 1 } })
  expect(source.id).toBeTruthy()
  const zone = ({ sql }: { sql: Sql }) =>
    sql.one`select current_setting('TimeZone') as zone, current_setting('app.owner', true) as owner`
  const before = await cache.get('zone 1', zone)
  await cache.get('set', ({ sql }) => sql.query("set timezone to 'Asia/Tokyo'"))
  await cache.get('config', ({ sql }) => sql.query("select set_config('app.owner', 'x', false)"))
  await cache.get('begin', ({ sql }) => sql.query('begin'))
  expect(await cache.get('zone 2', zone)).toMatchObject({ zone: before!.zone })
  expect(await notKept(cache, ({ sql }) => sql.one`select * from grants where id = 1`)).toBeUndefined()
  // What can't be asked for, a custom setting, must not reach a declared session either.
  await cache.get('config 2', ({ sql }) => sql.query("select set_config('app.owner', 'x', false)"))
  const owner = await cache
    .as({ role: 'reader_a' })
    .get('owner', ({ sql }) => sql.one<{ owner: string | null }>`select current_setting('app.owner', true) as owner`)
  expect(owner?.owner || null).toBeNull()
})
