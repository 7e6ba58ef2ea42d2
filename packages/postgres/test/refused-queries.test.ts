import pg from 'pg'
import { MemoryLog, type Relay } from 'tidemark'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import type { Sql } from '../src/index.js'
import { postgres } from '../src/index.js'
import { type Opened, until, World } from './opened.js'
import { expectPlain } from './plain.js'

/** Each way in which a query fails says in one sentence what is wrong, and where, and in one what to do. */
let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, title text, size int check (size > 0));
    create table hidden (id int primary key);
    insert into posts values (1, 'one'), (2, 'two');
    create role app login;
    grant select on posts to app;
    create function raises() returns int language plpgsql as $$ begin raise exception 'verysecret'; end $$;
    create function writes() returns int language sql as $$ insert into posts values (3) returning id $$;
    create function nests(n int) returns int language plpgsql as $$ begin return nests(n + 1); end $$;
    create sequence counter;
    create domain positive as int check (value > 0);
  `)
})
afterEach(() => world.closeCaches())
afterAll(async () => {
  await world.admin.query('drop owned by app; drop role app')
  await world.drop()
})

function asApp(): string {
  const url = new URL(world.database.url)
  url.username = 'app'
  return url.href
}

async function failure(read: Promise<unknown>): Promise<Error & { readonly code: string; readonly sqlState?: string }> {
  const outcome = await read.then(
    () => undefined,
    (error) => error,
  )
  expect(outcome, 'it did not fail').toBeDefined()
  return outcome
}

/** What a loader's own use of `sql` fails with. */
async function fails({ cache }: Opened, read: (sql: Sql) => Promise<unknown>) {
  return failure(cache.get('failing', ({ sql }) => read(sql)))
}

interface Case {
  readonly wrong: string
  readonly text: string
  readonly values?: readonly unknown[]
  readonly sqlState: string
  readonly says: RegExp
  readonly mends: RegExp
}

const CASES: readonly Case[] = [
  {
    wrong: 'it does not parse',
    text: 'select id,\nfrom posts',
    sqlState: '42601',
    says: /does not parse: syntax error at or near "from", at line 2, column 1$/,
    mends: /Correct the statement/,
  },
  { wrong: 'it is empty', text: '  ', sqlState: '42601', says: /is empty$/, mends: /Pass a statement/ },
  {
    wrong: 'it contains a NUL',
    text: "select 'a\0b'",
    sqlState: '42601',
    says: /NUL character.*at line 1, column 10$/,
    mends: /Take it out/,
  },
  {
    wrong: 'a column that there is not',
    text: 'select titel from posts',
    sqlState: '42703',
    says: /column "titel" does not exist, at line 1, column 8$/,
    mends: /Perhaps you meant to reference the column "posts\.title"\.$/,
  },
  {
    wrong: 'a table that there is not',
    text: 'select 1 from nowhere',
    sqlState: '42P01',
    says: /relation "nowhere" does not exist, at line 1, column 15$/,
    mends: /Correct the statement/,
  },
  {
    wrong: 'a function that there is not',
    text: 'select lowercase(title) from posts',
    sqlState: '42883',
    says: /function lowercase\(text\) does not exist, at line 1, column 8$/,
    mends: /function/,
  },
  {
    wrong: 'a table that the role may not read',
    text: 'select id from hidden',
    sqlState: '42501',
    says: /permission denied for table hidden$/,
    mends: /Grant its role SELECT/,
  },
  {
    wrong: 'a value of another type',
    text: 'select id from posts where id = $1',
    values: ['verysecret'],
    sqlState: '22P02',
    says: /a value does not fit the type/,
    mends: /Pass a value that does/,
  },
  {
    wrong: 'a division by zero',
    text: 'select 1 / (id - 1) from posts',
    sqlState: '22012',
    says: /a value does not fit/,
    mends: /Pass a value/,
  },
  {
    wrong: 'a value that a domain forbids',
    text: 'select $1::int::positive',
    values: [-1],
    sqlState: '23514',
    says: /a constraint forbids it/,
    mends: /Pass a value that it allows/,
  },
  {
    wrong: 'a subquery of several rows',
    text: 'select (select id from posts)',
    sqlState: '21000',
    says: /a subquery that must be one row is several/,
    mends: /LIMIT 1/,
  },
  {
    wrong: 'a function that raises',
    text: 'select raises()',
    sqlState: 'P0001',
    says: /a function of the database raised an error/,
    mends: /cause/,
  },
  {
    wrong: 'a transaction that only reads',
    text: 'select writes()',
    sqlState: '25006',
    says: /it writes, and the server or its transaction only reads/,
    mends: /read only/,
  },
  {
    wrong: 'recursion without an end',
    text: 'select nests(1)',
    sqlState: '54001',
    says: /more deeply nested/,
    mends: /Simplify/,
  },
]

test.for(CASES)('$wrong: TIDEMARK_SQL', async ({ text, values = [], sqlState, says, mends }) => {
  const url = new URL(asApp())
  if (sqlState === '25006') url.searchParams.set('options', '-c default_transaction_read_only=on')
  const error = await fails(await world.open({ url: url.href, follow: 'off' }), (sql) => sql.query(text, [...values]))
  expect(error).toMatchObject({ code: 'TIDEMARK_SQL', sqlState })
  expectPlain(error, says, mends)
})

const LIMITS = [
  { limit: 'statement_timeout', from: 13, code: 'TIDEMARK_SQL', state: '57014', says: /longer than statement_timeout/ },
  { limit: 'lock_timeout', from: 13, code: 'TIDEMARK_SQL', state: '55P03', says: /longer than lock_timeout.*line 1/ },
  {
    limit: 'idle_in_transaction_session_timeout',
    from: 13,
    code: 'TIDEMARK_SQL',
    state: '25P03',
    says: /longer than idle_in_transaction_session_timeout.*the connection ended/,
  },
  {
    limit: 'transaction_timeout',
    from: 17,
    code: 'TIDEMARK_SQL',
    state: '25P04',
    says: /longer than transaction_timeout.*the connection ended/,
  },
  {
    limit: 'idle_session_timeout',
    from: 14,
    code: 'TIDEMARK_SOURCE_DOWN',
    state: undefined,
    // What the process hears first is the system's: the server's words come later, or never.
    says: /connection.*(57P05|EPIPE|ECONNRESET)/,
  },
] as const

/** More than our own questions take on a machine that is busy. */
const LIMIT_MS = 1_000

test.for(LIMITS.filter(({ from }) => !isBefore(from)))(
  '$limit: $code says which limit, and the next query has a connection that works',
  async ({ limit, code, state, says }) => {
    const url = new URL(asApp())
    url.searchParams.set('options', `-c ${limit}=${LIMIT_MS}`)
    const opened = await world.open({ url: url.href, follow: 'off', pool: { max: 1 } })
    const { cache } = opened
    await cache.get('first', ({ sql }) => sql.one`select 1`)
    const error = await provoke(limit, opened)
    expect(error).toMatchObject({ code, ...(state && { sqlState: state }) })
    expectPlain(error, says, /raise the limit|idle_session_timeout/)
    expect(await cache.get('after', ({ sql }) => sql.one`select 2 as two`)).toEqual({ two: 2 })
  },
)

async function provoke(limit: (typeof LIMITS)[number]['limit'], opened: Opened) {
  switch (limit) {
    case 'statement_timeout':
    case 'transaction_timeout':
      return fails(opened, (sql) => sql.query('select pg_sleep(10)'))
    case 'lock_timeout':
      await world.admin.query('begin; lock posts')
      return fails(opened, (sql) => sql.query('select * from posts')).finally(() => world.admin.query('rollback'))
    case 'idle_session_timeout':
      // Nobody hears that the connection ends.
      beBusy(2 * LIMIT_MS)
      return fails(opened, (sql) => sql.query('select 1'))
    case 'idle_in_transaction_session_timeout': {
      // Between any two queries, so in the transaction that sets the session too.
      const busy = setInterval(() => beBusy(2 * LIMIT_MS), 1)
      const read = opened.cache.as({ timeZone: 'UTC' }).get('busy', ({ sql }) => sql.one`select 1`)
      return failure(read).finally(() => clearInterval(busy))
    }
  }
}

function beBusy(ms: number): void {
  const end = Date.now() + ms
  while (Date.now() < end);
}

test('TIDEMARK_SQL_WRITES: what is no single SELECT', async () => {
  const { source } = await world.open({ follow: 'off' })
  for (const text of [
    'delete from posts',
    'with gone as (delete from posts returning id) select id from gone',
    'select id into copied from posts',
    'select id from posts for update',
    "select setval('counter', 1)",
    'select 1; select 2',
    '-- nothing',
  ]) {
    const error = await failure(source.describe(text))
    expect(error.code, text).toBe('TIDEMARK_SQL_WRITES')
    expectPlain(error, /does more than read, or is not a single statement/, /without FOR UPDATE or INTO/)
  }
})

test('TIDEMARK_SQL_ROWS: several rows, or another row than the schema says', async () => {
  const opened = await world.open({ follow: 'off' })
  const several = await fails(opened, (sql) => sql.one`select id from posts`)
  expect(several.code).toBe('TIDEMARK_SQL_ROWS')
  expectPlain(several, /found 2 rows/, /Add a condition or LIMIT 1, or use sql\.many/)
  const schema = {
    parse(): { id: string } {
      throw new Error('id: verysecret is no string')
    },
  }
  const other = await fails(opened, (sql) => sql.one(schema)`select id from posts where id = 1`)
  expect(other.code).toBe('TIDEMARK_SQL_ROWS')
  expectPlain(other, /not as its schema says/, /Correct the schema or the statement/)
  expect((other.cause as Error).message).toContain('is no string')
})

test('TIDEMARK_SESSION: a declared session, in a transaction that was open before', async () => {
  const { cache, source } = await world.open({ follow: 'off' })
  const client = await source.pool.connect()
  await client.query('begin')
  const error = await failure(cache.as({ timeZone: 'UTC' }).get('inside', () => client.query('select 1')))
  await client.query('rollback')
  client.release()
  expect(error.code).toBe('TIDEMARK_SESSION')
  expectPlain(error, /transaction that was open before/, /Begin the transaction in the loader/)
})

test('TIDEMARK_CLIENT: a client that cannot be seen through', async () => {
  const { source } = await world.open({ follow: 'off' })
  for (const client of [{}, { connection: {}, query() {} }, { native: {}, connection: undefined }]) {
    const error = await failure((async () => source.wrapClient(client as unknown as pg.Client))())
    expect(error.code).toBe('TIDEMARK_CLIENT')
    expectPlain(error, /Only clients of pg's JavaScript implementation can be wrapped/, /Use pg\.Pool or pg\.Client/)
  }
})

test('TIDEMARK_SOURCE_DOWN: a role that may not connect, or whose connections are all in use', async () => {
  await world.admin.query('alter role app connection limit 1')
  const opened = await world.open({ url: asApp(), follow: 'off' })
  const holder = new pg.Client({ connectionString: asApp() })
  await holder.connect()
  const full = await fails(opened, (sql) => sql.one`select 1`)
  await holder.end()
  await world.admin.query('alter role app connection limit -1')
  expect(full.code).toBe('TIDEMARK_SOURCE_DOWN')
  expectPlain(full, /no connection left for this role.*53300/, /Lower pool\.max/)
  const database = new URL(world.database.url).pathname.slice(1)
  await world.admin.query(`revoke connect on database ${database} from public`)
  const refused = await fails(opened, (sql) => sql.one`select 1`)
  await world.admin.query(`grant connect on database ${database} to public`)
  expect(refused.code).toBe('TIDEMARK_SOURCE_DOWN')
  expectPlain(refused, /does not let this role connect.*42501/, /grant connect/)
  await until(async () => (await opened.cache.get('on', ({ sql }) => sql.one`select 1`).catch(() => null)) !== null)
})

test('TIDEMARK_OPTION: an address that cannot be read, before anything is opened', () => {
  for (const [url, says, mends] of [
    ['mysql://somebody:verysecret@127.0.0.1/db', /must be a connection string/, /postgres:\/\/user/],
    ['postgres://somebody:verysecret#@127.0.0.1/db', /no address that can be used/, /# as %23/],
    ['postgres://somebody:verysecret@127.0.0.1:port/db', /no address that can be used/, /cannot be read/],
    ['postgres://somebody@127.0.0.1/db?sslmode=verify-full&sslrootcert=/none/such', /no address/, /sslrootcert/],
  ] as const) {
    expect(() => postgres({ url })).toThrow(
      expect.objectContaining({ code: 'TIDEMARK_OPTION', message: expect.stringMatching(says) }),
    )
    expect(() => postgres({ url })).toThrow(mends)
    expect(() => postgres({ url })).not.toThrow(/verysecret/)
  }
})

test('TIDEMARK_OPTION: a relay without a slot, a role without a relay', () => {
  const url = 'postgres://somebody@127.0.0.1/db'
  const relay: Relay = { lead: (log) => log, follow: () => new MemoryLog() }
  for (const [options, says] of [
    [{ relay }, /beside a slot/],
    [{ slot: 'app', relay: {} as Relay }, /must be a relay/],
    [{ slot: 'app', role: 'follower' }, /beside a relay/],
    [{ slot: 'app', relay, role: 'boss' as 'auto' }, /'auto', 'leader' or 'follower'/],
  ] as const) {
    expect(() => postgres({ url, ...options })).toThrow(
      expect.objectContaining({ code: 'TIDEMARK_OPTION', message: expect.stringMatching(says) }),
    )
  }
})
