import pg from 'pg'
import type { Cache } from 'tidemark'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { PostgresOptions, PostgresSource, Sql } from '../src/index.js'
import { notKept, until, World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, author_id int, title text);
    create table secrets (id int primary key, word text);
    create table events (id int, day date) partition by range (day);
    create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
    create table events_2027 partition of events for values from ('2027-01-01') to ('2028-01-01');
    create table marked (id int primary key, mark text, note text);
    alter table marked replica identity full;
    create table base (id int primary key);
    create table derived (extra text) inherits (base);
    create view titles as select id, title from posts;
    create table guarded (id int primary key, owner text);
    alter table guarded enable row level security;
    create policy own on guarded using (owner in (select word from secrets));
    create role checked_reader;
    grant select on guarded, secrets to checked_reader;
    insert into posts values (1, 1, 'one'), (2, 1, 'two');
    insert into secrets values (1, 'hidden');
    insert into events values (1, '2026-05-05'), (2, '2027-05-05');
    insert into marked values (1, 'm', 'n');
    insert into base values (1);
    insert into derived values (2, 'more');
    create function lies(int) returns text immutable language plpgsql as $$ begin return (select word from secrets where id = $1); end $$;
    create function lies_of_both(int) returns text immutable language plpgsql as $$
      begin return (select note from marked where id = $1) || (select word from secrets where id = $1); end $$;
    create sequence numbers;
    create function draws() returns bigint immutable language plpgsql as $$ begin return (select last_value from numbers); end $$;
    create function says(int) returns text stable language plpgsql as $$ begin return (select word from secrets where id = $1); end $$;
  `)
})
afterEach(() => world.closeCaches())
afterAll(async () => {
  await world?.admin.query('drop owned by checked_reader; drop role checked_reader')
  await world?.drop()
})

interface Opened {
  readonly cache: Cache<{ sql: Sql }>
  readonly source: PostgresSource
  readonly notices: string[]
}

async function opened(options: Partial<PostgresOptions> = {}): Promise<Opened> {
  const { cache, source } = await world.open(options)
  const notices: string[] = []
  cache.on('notice', ({ code, message }) => notices.push(`${code} ${message}`))
  return { cache, source, notices }
}

const LYING = 'select id, title, lies($1) as word from posts where id = $2'

it('finds a table that a function hides behind a wrong volatility, and never keeps what would be stale', async () => {
  for (const selfCheck of ['always', 'sampled'] as const) {
    const { cache, notices } = await opened({ selfCheck })
    const lying = cache.define('lying', ({ sql }, id: number) =>
      sql.query<{ word: string }>(LYING, [1, id]).then(({ rows }) => rows[0]!.word),
    )
    expect(await lying(1)).toBe('hidden')
    // The statement depends on whole tables from then on, of which `secrets` is followed once it has been asked for.
    await until(async () => (await lying.ask(1)).from === 'l1')
    const { dependencies } = cache.explain('lying(1)')
    expect(dependencies.map((each) => `${each.kind} ${'table' in each && each.table}`).sort()).toEqual([
      'table public.posts',
      'table public.secrets',
    ])
    expect(notices).toEqual([expect.stringMatching(/^self-check .*'lying' read public\.secrets/)])
    expect(cache.counters.selfCheckMismatches).toBe(1)
    expect(cache.counters.selfChecks).toBeGreaterThanOrEqual(1)
    expect(cache.counters.coarse['self-check']).toBeGreaterThan(0)
    await world.admin.query("update secrets set word = 'changed'")
    await until(async () => (await lying(1)) === 'changed')
    await world.admin.query("update secrets set word = 'hidden'")
    await world.closeCaches()
  }
})

it('depends on all columns of what a lying function reads beside its statement', async () => {
  const { cache } = await opened({ selfCheck: 'always' })
  const lying = cache.define('lying', ({ sql }) =>
    sql
      .query<{ note: string }>('select mark, lies_of_both(1) as note from marked where id = 1')
      .then(({ rows }) => rows[0]!.note),
  )
  expect(await lying()).toBe('nhidden')
  await until(async () => (await lying.ask()).from === 'l1')
  await world.admin.query("update marked set note = 'changed '")
  await until(async () => (await lying()) === 'changed hidden')
})

it('reports nothing of a function whose reads are not looked for', async () => {
  const { cache, notices } = await opened({ selfCheck: 'always' })
  const text = 'select title, says(1) as word from posts where id = 1'
  expect(await notKept(cache, ({ sql }) => sql.query(text).then(({ rows }) => rows))).toBe('function')
  expect(notices.filter((notice) => notice.startsWith('self-check'))).toEqual([])
})

it('reports no sequence that a query draws from, but one that a function hides', async () => {
  const { cache, notices } = await opened({ selfCheck: 'always' })
  const draw = cache.define('draw', ({ sql }) => sql.one`select nextval('numbers') as n`, { ttl: '1h' })
  const { n } = (await draw()) as { n: string }
  expect(await draw()).toEqual({ n })
  expect(cache.counters).toMatchObject({ selfChecks: 1, selfCheckMismatches: 0 })
  expect(notices).toEqual([])
  const load = ({ sql }: { sql: Sql }) => sql.many`select draws() as n, title from posts where id = 1`
  await cache.get('hidden', load)
  expect(notices).toEqual([expect.stringMatching(/^self-check .*public\.numbers/)])
})

it('looks at nothing when it is off', async () => {
  const { cache, notices } = await opened({ selfCheck: 'off' })
  const load = ({ sql }: { sql: Sql }) => sql.query(LYING, [1, 1]).then(({ rows }) => rows)
  expect(await notKept(cache, load)).toBeUndefined()
  expect(cache.counters.selfChecks).toBe(0)
  expect(notices).toEqual([])
})

it('agrees with the analysis on views, partitions, inheritance, policies, joins and catalogues', async () => {
  const { cache, source, notices } = await opened({ selfCheck: 'always' })
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url }))
  world.onClose(() => pool.end())
  const texts = [
    'select * from titles where id = 1',
    "select * from events where day = '2026-05-05'",
    'select * from events',
    'select * from events_2026',
    "select * from events_2027 where day > '2027-02-02'",
    'select * from base',
    'select * from only base',
    'select * from derived',
    'select p.id, s.word from posts p left join secrets s on s.id = p.id where p.id = 1',
    'select p.id from posts p left join secrets s on s.id = p.id where p.id = 1',
    'select id from posts where false',
    'with t as (select * from posts where author_id = 1) select count(*) from t',
    'select * from posts where exists (select from secrets where secrets.id = posts.id)',
    "select relname from pg_class where relname = 'posts'",
  ]
  const byPool = cache.define('by pool', (_, text: string) => pool.query(text).then(({ rows }) => rows))
  for (const text of texts) {
    await cache.get(`sql ${text}`, ({ sql }) => sql.query(text))
    await byPool(text)
  }
  const reader = cache.as({ role: 'checked_reader' })
  await reader.get('guarded', ({ sql }) => sql.many`select * from guarded`)
  await reader.get('guarded by pool', () => pool.query('select * from guarded').then(({ rows }) => rows))
  expect(notices).toEqual([])
  expect(cache.counters.selfChecks).toBe(2 * texts.length + 2)
  expect(cache.counters.selfCheckMismatches).toBe(0)
})

it('looks into a statement once for all values of a setting of the application, and again for another role or path', async () => {
  const { cache } = await opened({ selfCheck: 'sampled' })
  const checksOf = async (session: Parameters<typeof cache.as>[0]) => {
    const before = cache.counters.selfChecks
    await cache.as(session).get('guarded', ({ sql }) => sql.query('select id from guarded where id = 7'))
    return cache.counters.selfChecks - before
  }
  expect(await checksOf({ settings: { 'app.tenant': 'a' } })).toBe(1)
  for (const tenant of ['b', 'c']) expect(await checksOf({ settings: { 'app.tenant': tenant } })).toBe(0)
  expect(await checksOf({ settings: { 'app.tenant': 'a', search_path: 'public, pg_temp' } })).toBe(1)
  expect(await checksOf({ role: 'checked_reader', settings: { 'app.tenant': 'a' } })).toBe(1)
})

it("checks what is read in a loader's own transaction, of what it had not read before", async () => {
  const { cache, source, notices } = await opened({ selfCheck: 'always' })
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url }))
  world.onClose(() => pool.end())
  const load = async () => {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await client.query('select id, title from posts where id = 2')
      const { rows } = await client.query(LYING, [1, 2])
      await client.query('commit')
      return rows[0]
    } finally {
      client.release()
    }
  }
  await cache.get('transaction', load)
  expect(notices).toEqual([expect.stringContaining('public.secrets')])
  expect(await notKept(cache, load)).toBeUndefined()
})

it('leaves errors and connections as they are', async () => {
  const { cache, source } = await opened({ selfCheck: 'always' })
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url, max: 1 }))
  world.onClose(() => pool.end())
  const divide = () => pool.query('select 1 / (id - 1) as n from posts').then(({ rows }) => rows)
  await expect(cache.get('divide', divide)).rejects.toMatchObject({ code: '22012' })
  expect(
    (await pool.query('select pg_current_xact_id_if_assigned() is null as n, now() = statement_timestamp() as alone'))
      .rows,
  ).toEqual([{ n: true, alone: true }])
  await expect(cache.get('divided', ({ sql }) => sql.many`select 1 / (id - 1) as n from posts`)).rejects.toMatchObject({
    code: 'TIDEMARK_SQL',
    sqlState: '22012',
  })
})

it('reports a query that a loader did not wait for', async () => {
  const { cache, source, notices } = await opened({ selfCheck: 'always' })
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url }))
  world.onClose(() => pool.end())
  const late: Promise<unknown>[] = []
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const byPool = cache.define('by pool', () => {
    late.push(ended.then(() => pool.query('select * from posts')))
    return 1
  })
  const bySql = cache.define('by sql', ({ sql }) => {
    late.push(ended.then(() => sql.many`select * from secrets`))
    return 1
  })
  await Promise.all([byPool(), bySql()])
  end()
  await Promise.all(late)
  const told = notices.filter((each) => each.startsWith('late-query')).sort()
  expect(told).toEqual([
    expect.stringMatching(/'by pool'.*select \* from posts$/),
    expect.stringMatching(/'by sql'.*select \* from secrets$/),
  ])
})

it('reports a client that is not wrapped, while a loader runs', async () => {
  const { cache, source, notices } = await opened()
  const unwatch = source.watchUntracked(pg)
  const loose = new pg.Client({ connectionString: world.database.url })
  const { host, port, user } = loose
  const elsewhere = new pg.Client({ host, port, database: 'postgres', ...(user === undefined ? {} : { user }) })
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url }))
  world.onClose(() => pool.end())
  try {
    await Promise.all([loose.connect(), elsewhere.connect()])
    await loose.query('select 1')
    await cache.get('tracked', ({ sql }) => sql.many`select * from posts where id = 1`)
    await cache.get('wrapped', () => pool.query('select * from posts').then(({ rows }) => rows))
    await cache.get('elsewhere', () => elsewhere.query('select 1').then(() => 1), { ttl: '1s' })
    expect(notices.filter((each) => each.startsWith('untracked-query'))).toEqual([])
    const load = cache.define('loose', () => loose.query('select count(*) from posts').then(({ rows }) => rows), {
      ttl: '1s',
    })
    await load()
    expect(notices.filter((each) => each.startsWith('untracked-query'))).toEqual([
      expect.stringMatching(/'loose'.*select count\(\*\) from posts$/),
    ])
  } finally {
    unwatch()
    await Promise.all([loose.end(), elsewhere.end()])
  }
})
