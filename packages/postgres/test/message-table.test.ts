import { afterAll, beforeAll, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { nonce, type Recorder, until, type World, world } from './recorder.js'

/** PostgreSQL 13 carries messages as rows of a table; what is called the same elsewhere is the user's. */
let db: World

beforeAll(async () => {
  db = await world()
})

afterAll(async () => {
  await db?.end()
})

function drop() {
  return { kind: 'target', targets: [{ kind: 'tag', tenant: '', tag: 'x' }], mode: 'drop', nonce: nonce() } as const
}

async function hears(log: Recorder): Promise<void> {
  const change = drop()
  await log.since()
  await log.log.append(change)
  expect((await log.since()).filter(({ kind }) => kind === 'target')).toEqual([change])
}

test('a message that is written before the log was taken up once goes where the server carries it', async () => {
  const log = await db.log()
  await log.since()
  const early = db.unfollowed()
  const change = drop()
  await early.append(change)
  expect(await log.since()).toEqual([change])
})

if (!isBefore(14)) {
  test("a table of the user's that is called as ours on PostgreSQL 13 sends rows", async () => {
    await db.sql(
      'create schema tidemark',
      'create table tidemark.messages (place int primary key, prefix text, content text)',
    )
    const log = await db.log()
    const content = '- {"v":1,"m":"drop","t":[["t","","x"]]}'
    await db.sql(`insert into tidemark.messages values (1, 'tidemark/target', '${content}')`)
    const changes = await log.since()
    expect(changes.filter(({ kind }) => kind === 'row')).toMatchObject([{ table: 'tidemark.messages', op: 'insert' }])
    expect(changes.filter(({ kind }) => kind === 'target')).toEqual([])
  })
} else {
  test('a message in a large transaction is read', async () => {
    const log = await db.log({ rowsMax: 10 })
    const client = await db.connect()
    await client.query('create table rows_of (id int primary key)')
    await until(() => log.log.followed('public.rows_of') !== undefined)
    await log.since()
    const content = '- {"v":1,"m":"drop","t":[["t","","x"]]}'
    await client.query('begin')
    await client.query('insert into rows_of select generate_series(1, 50)')
    await client.query(`insert into tidemark.messages values (40, 'tidemark/target', '${content}')`)
    await client.query('commit')
    const changes = await log.since()
    expect(changes).toContainEqual({ kind: 'target', targets: [{ kind: 'tag', tenant: '', tag: 'x' }], mode: 'drop' })
    expect(changes).toContainEqual({ kind: 'table', table: 'public.rows_of', reason: 'large' })
  })

  test('a role that may create nothing is told what to run, and that is enough', async () => {
    const other = await world()
    try {
      await other.sql(
        'create table theirs (id int primary key)',
        'create publication tidemark for table theirs',
        'create role narrow login replication',
        'create role second login replication',
      )
      for (const role of ['narrow', 'second']) {
        const url = new URL(other.url)
        url.username = role
        const log = other.open({ url: url.href })
        await until(() => log.losses.length > 0)
        expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_RIGHTS' })
        await other.sql((log.losses[0] as unknown as { sql: string }).sql)
        await log.hasStarted(1)
        await hears(log)
        await log.log.close()
      }
    } finally {
      await other.end()
    }
  })

  test('a publication without the table is refused, at the start and later', async () => {
    const other = await world()
    try {
      const url = new URL(other.url)
      url.username = 'apart'
      await other.sql(
        'create role apart login replication',
        `grant create on database "${url.pathname.slice(1)}" to apart`,
        'create table theirs (id int primary key)',
        'create publication tidemark for table theirs',
      )
      const log = other.open({ url: url.href })
      await until(() => log.losses.length > 0)
      expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_PUBLICATION' })
      const sql = /Run: (.*)$|run: (.*)$/.exec(log.losses[0]!.message)!
      await other.sql((sql[1] ?? sql[2])!)
      await log.hasStarted(1)
      await hears(log)
      await other.sql('alter publication tidemark drop table tidemark.messages')
      await until(() => log.losses.length > 1)
      expect(log.losses[1]).toMatchObject({ code: 'TIDEMARK_PUBLICATION' })
    } finally {
      await other.end()
    }
  })
}
