import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Silence, SilentLine } from './line.js'
import { type Recorder, until, type World, world } from './recorder.js'

/** Lines that fall silent and do not end: nobody is told, and the server holds the slot for somebody who is not there. */
let db: World
let line: SilentLine
const slot = 'shared_by_all'

beforeEach(async () => {
  db = await world({})
  await db.sql('create table posts (id int primary key)')
  line = await SilentLine.to(db.url)
})

afterEach(async () => {
  await line?.end()
  await db?.end()
})

const holds = (log: Recorder): boolean => log.log.status().slot?.isHeld === true
const ids = (log: Recorder): unknown[] => log.rows.map((row) => row.new!.id)

test.each<{ silence: Silence }>([{ silence: 'both' }, { silence: 'to server' }, { silence: 'to client' }])(
  'who holds the slot notices that its line is silent ($silence), and goes on where it was',
  { timeout: 120_000 },
  async ({ silence }) => {
    const log = await db.log({ slot, url: line.url })
    await db.sql('insert into posts values (1)')
    await log.caughtUp()
    line.silenceReplication(silence)
    await db.sql('insert into posts values (2)')
    await until(
      () => log.resumes === 1 || log.starts.length > 1,
      () => JSON.stringify(log.log.status()),
      60_000,
    )
    await db.sql('insert into posts values (3)')
    await log.caughtUp()
    expect([log.starts.length, log.resumes]).toEqual([1, 1])
    expect(ids(log)).toEqual(['1', '2', '3'])
  },
)

test('another process takes the slot over from one whose line is silent, and misses nothing', {
  timeout: 120_000,
}, async () => {
  const first = await db.log({ slot, url: line.url })
  const second = await db.log({ slot })
  line.silenceReplication()
  await db.sql('insert into posts values (1)')
  await until(
    () => holds(second),
    () => JSON.stringify(second.log.status()),
    60_000,
  )
  await db.sql('insert into posts values (2)')
  await second.caughtUp()
  expect(ids(second)).toEqual(['1', '2'])
  expect([second.starts.length, second.losses]).toEqual([1, []])
  // The first one follows through a slot of its own from now on, and says that it starts anew.
  await first.hasStarted(2)
  expect(holds(first)).toBe(false)
  await db.sql('insert into posts values (3)')
  await first.caughtUp()
  expect(ids(first).at(-1)).toBe('3')
})

test('where every line of a process falls silent, it goes on by itself', { timeout: 120_000 }, async () => {
  const log = await db.log({ slot, url: line.url })
  await db.sql('insert into posts values (1)')
  await log.caughtUp()
  line.silenceAll()
  await db.sql('insert into posts values (2)')
  await until(
    () => log.resumes === 1 || log.starts.length > 1,
    () => JSON.stringify(log.log.status()),
    60_000,
  )
  await db.sql('insert into posts values (3)')
  await log.caughtUp(60_000)
  const heard = ids(log)
  expect(log.starts.length === 1 ? heard : heard.at(-1)).toEqual(log.starts.length === 1 ? ['1', '2', '3'] : '3')
  await until(() => holds(log), undefined, 60_000)
})
