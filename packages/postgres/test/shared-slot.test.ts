import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { openWriter } from './hidden.js'
import { type Recorder, until, type World, world } from './recorder.js'

/** The permanent slot that processes share, on a server of its own: slots are seen by all of a server. */
let db: World
const slot = 'shared_by_all'

beforeEach(async () => {
  db = await world({})
  await db.sql('create table posts (id int primary key, v int)')
})

afterEach(async () => {
  await db?.end()
})

async function isActive(): Promise<boolean> {
  const [row] = await db.sql(`select active from pg_replication_slots where slot_name = '${slot}'`)
  return row?.active === true
}

const holds = (log: Recorder): boolean => log.log.status().slot?.isHeld === true

async function endWalsender(log: Recorder, during: () => Promise<unknown> = async () => {}): Promise<void> {
  const losses = log.losses.length
  await db.sql(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '${slot}'`)
  await during()
  await until(() => log.losses.length > losses)
}

test('who holds the slot goes on after a lost connection, and misses nothing that was committed meanwhile', async () => {
  const log = await db.log({ slot })
  expect(log.log.status().slot).toMatchObject({ name: slot, isHeld: true })
  await db.sql('insert into posts values (1, 1)')
  await log.caughtUp()
  for (let round = 1; round <= 5; round++) {
    await endWalsender(log, () => db.sql(`insert into posts values (${round * 10}, 1), (${round * 10 + 1}, 1)`))
    await until(
      () => log.resumes === round,
      () => log.log.status().reason,
    )
    await db.sql(`insert into posts values (${round * 10 + 2}, 1)`)
    await log.caughtUp()
  }
  expect(log.starts).toHaveLength(1)
  const expected = ['1', ...[1, 2, 3, 4, 5].flatMap((round) => [0, 1, 2].map((n) => `${round * 10 + n}`))]
  expect(log.rows.map((row) => row.new!.id)).toEqual(expected)
})

test('another process follows through a slot of its own, and takes the shared one over when its holder is gone', async () => {
  const first = await db.log({ slot })
  const second = await db.log({ slot })
  expect([first, second].map(holds)).toEqual([true, false])
  await db.sql('insert into posts values (1, 1)')
  await second.caughtUp()
  await first.log.close()
  await db.sql('insert into posts values (2, 1)')
  await until(() => holds(second))
  await db.sql('insert into posts values (3, 1)')
  await second.caughtUp()
  // Nothing shows of the hand-over.
  expect(second.starts).toHaveLength(1)
  expect(second.losses).toEqual([])
  expect(second.rows.map((row) => row.new!.id)).toEqual(['1', '2', '3'])
  expect(await db.sql('select slot_name from pg_replication_slots')).toEqual([{ slot_name: slot }])
})

test('the slot stays when its holder is closed, and the next one starts where it was left', async () => {
  const first = await db.log({ slot })
  await db.sql('insert into posts values (1, 1)')
  await first.caughtUp()
  await first.log.close()
  expect(await isActive()).toBe(false)
  await db.sql('insert into posts values (2, 1)')
  const second = await db.log({ slot })
  await second.caughtUp()
  expect(second.rows.map((row) => row.new!.id)).toContain('2')
  expect(second.starts[0]!.proof.kind).toBe('visible')
})

test('a change of the catalogue while the line was cut makes it start anew', async () => {
  const log = await db.log({ slot, cataloguePollMs: 60_000 })
  await endWalsender(log, () => db.sql('alter table posts add column w int'))
  await until(() => log.starts.length === 2 || log.resumes > 0)
  expect([log.starts.length, log.resumes]).toEqual([2, 0])
})

test('a slot that was moved on by somebody else makes the next holder start anew', async () => {
  const log = await db.log({ slot })
  const other = await db.log({ slot })
  await db.sql('insert into posts values (1, 1)')
  await log.caughtUp()
  // The other one takes it over and moves it on, beyond what the first has read.
  await endWalsender(log, () => until(() => holds(other) || holds(log)))
  await until(() => [log, other].filter(holds).length === 1)
  await db.sql('insert into posts values (2, 1)')
  for (const each of [log, other]) {
    await until(() => each.log.status().state === 'following')
    await each.caughtUp()
    // Either it heard of the second row, or it starts after it and says so.
    const heard = each.rows.map((row) => row.new!.id)
    if (each.starts.length === 1) expect(heard).toEqual(['1', '2'])
    else expect(each.losses).toHaveLength(1)
  }
})

test('a slot that is dropped is made anew, and nothing is believed of before', async () => {
  const log = await db.log({ slot })
  const admin = await db.connect()
  await endWalsender(log, async () => {
    await until(async () => {
      await admin.query(`select pg_drop_replication_slot('${slot}')`).catch(() => {})
      const { rows } = await admin.query(`select xmin from pg_replication_slots where slot_name = '${slot}'`)
      return rows.length === 0 || log.starts.length > 1 || log.resumes > 0
    })
  })
  await until(() => holds(log) && log.log.status().state === 'following')
  await db.sql('insert into posts values (1, 1)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['1'])
})

test('a slot that keeps too much of the WAL is given up, and said so', async () => {
  const problems: string[] = []
  const first = await db.log({ slot })
  await first.log.close()
  await db.sql(
    ...Array.from({ length: 2 }, () => "select pg_logical_emit_message(false, 'fill', repeat('x', 20000000))"),
  )
  const second = await db.log({ slot, slotKeepMax: 16 * 2 ** 20, onProblem: ({ message }) => problems.push(message) })
  expect(problems.join()).toContain('slotKeepMax (16 MB)')
  await until(() => holds(second))
  await db.sql('insert into posts values (1, 1)')
  await second.caughtUp()
  expect(second.rows.map((row) => row.new!.id)).toEqual(['1'])
})

test('a slot that somebody is making is left alone', async () => {
  const writer = await openWriter(db.url)
  const maker = new Client({ connectionString: `${db.url}&replication=database` })
  await maker.connect()
  const made = maker.query(`CREATE_REPLICATION_SLOT ${slot} LOGICAL pgoutput`)
  await until(isActive)
  const problems: string[] = []
  const log = db.open({ slot, onProblem: ({ message }) => problems.push(message) })
  await until(() => log.log.status().state === 'waiting')
  await writer.end()
  await made
  await log.hasStarted(1)
  expect(problems).toEqual([])
  await maker.end()
  await until(() => holds(log))
})

test('a slot of that name that is none of ours is refused by name', async () => {
  await db.sql(`select pg_create_physical_replication_slot('${slot}')`)
  const log = db.open({ slot })
  await until(() => log.losses.length > 0)
  expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_SLOT' })
  await db.sql(`select pg_drop_replication_slot('${slot}')`)
})

test('after the publication is dropped a new slot is made, which can read the new one', async () => {
  const log = await db.log({ slot })
  await db.sql('drop publication tidemark')
  await until(() => log.starts.length >= 2 && log.log.status().state === 'following')
  await until(() => log.log.followed('public.posts') !== undefined)
  await db.sql('insert into posts values (1, 1)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['1'])
})

test('after a restart of the server it starts anew, in a new epoch, through the same slot', async () => {
  const log = await db.log({ slot })
  await db.server.restart()
  await log.hasStarted(2)
  expect(log.resumes).toBe(0)
  expect(log.starts[1]!.epoch).not.toBe(log.starts[0]!.epoch)
  await db.sql('insert into posts values (1, 1)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['1'])
})

test('a slot that the server invalidated is made anew at the next start, and told', { timeout: 120_000 }, async () => {
  await db.end()
  db = await world({ max_slot_wal_keep_size: '1MB', wal_keep_size: '0', max_wal_size: '32MB', min_wal_size: '32MB' })
  await db.sql('create table posts (id int primary key, v int)')
  const first = await db.log({ slot })
  await first.log.close()
  for (let i = 0; i < 2; i++)
    await db.sql("select pg_logical_emit_message(false, 'fill', repeat('x', 20000000))", 'select pg_switch_wal()')
  await db.sql('checkpoint')
  await until(async () => {
    const [row] = await db.sql(`select wal_status from pg_replication_slots where slot_name = '${slot}'`)
    return row?.wal_status === 'lost'
  })
  const problems: string[] = []
  const log = await db.log({ slot, onProblem: ({ code, message }) => problems.push(`${code} ${message}`) })
  expect(problems.join()).toMatch(/TIDEMARK_SLOT .*invalidated it/)
  expect(log.log.status().slot).toMatchObject({ isHeld: true })
  await db.sql('insert into posts values (1, 1)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['1'])
})

test('while a process hangs that holds the slot, another gives it up at the limit', { timeout: 120_000 }, async () => {
  // The holder is a connection that streams and acknowledges nothing.
  const first = await db.log({ slot })
  await first.log.close()
  const hanging = await db.connect()
  const holder = new Client({ connectionString: `${db.url}&replication=database` })
  holder.on('error', () => {})
  await holder.connect()
  const options = "(proto_version '1', publication_names 'tidemark')"
  holder.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 ${options}`).catch(() => {})
  await until(isActive)
  const problems: string[] = []
  const log = await db.log({ slot, slotKeepMax: 16 * 2 ** 20, onProblem: ({ message }) => problems.push(message) })
  expect(holds(log)).toBe(false)
  for (let i = 0; i < 2; i++)
    await hanging.query("select pg_logical_emit_message(false, 'fill', repeat('x', 20000000))")
  await until(
    async () => {
      // A slot of its own is kept back by what was written too, until the server has logged what runs.
      await db.sql('checkpoint')
      return holds(log)
    },
    () => JSON.stringify(log.log.status()),
  )
  expect(problems.join()).toContain('slotKeepMax (16 MB)')
  // Who follows through a slot of its own lost nothing.
  expect(log.losses).toEqual([])
  await holder.end().catch(() => {})
})

const invalidated = async (reason: string): Promise<boolean> => {
  const [row] = await db.sql(
    `select to_jsonb(s)->>'invalidation_reason' as reason from pg_replication_slots s where slot_name = '${slot}'`,
  )
  return row?.reason === reason
}

if (!isBefore(18)) {
  test('a slot that the server gave up as idle is made anew', { timeout: 120_000 }, async () => {
    const first = await db.log({ slot })
    await first.log.close()
    await db.sql("alter system set idle_replication_slot_timeout = '1s'", 'select pg_reload_conf()')
    await until(
      async () => {
        await db.sql('checkpoint')
        return invalidated('idle_timeout')
      },
      () => 'the server did not give it up',
      60_000,
    )
    const problems: string[] = []
    const log = await db.log({ slot, onProblem: ({ message }) => problems.push(message) })
    expect(problems.join()).toContain('idle_timeout')
    expect(log.log.status().slot).toMatchObject({ isHeld: true })
    await db.sql('insert into posts values (1, 1)')
    await log.caughtUp()
    expect(log.rows.map((row) => row.new!.id)).toEqual(['1'])
  })
}

test('a walsender that is frozen is noticed, and the log taken up beside it', { timeout: 120_000 }, async () => {
  const log = await db.log({ slot })
  const [row] = await db.sql(`select active_pid as pid from pg_replication_slots where slot_name = '${slot}'`)
  const pid = Number(row!.pid)
  process.kill(pid, 'SIGSTOP')
  try {
    await db.sql('insert into posts values (1, 1)')
    await until(
      () => log.starts.length === 2,
      () => log.log.status().reason,
      60_000,
    )
    expect(holds(log)).toBe(false)
    // What was committed before the new start lies before it; what comes after it is delivered.
    await db.sql('insert into posts values (2, 1)')
    await log.caughtUp()
    expect(log.rows.map((row) => row.new!.id)).toContain('2')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  // Thawed, it finds that nobody listens: the slot is free, and taken over again.
  await until(() => holds(log), undefined, 60_000)
  await db.sql('insert into posts values (3, 1)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id).at(-1)).toBe('3')
  expect(log.starts).toHaveLength(2)
})
