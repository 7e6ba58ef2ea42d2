import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { headsFolder, recordsWhen, verified } from './journal-world.js'
import { until, World } from './opened.js'

/*
 * Fault F1 for the journal: processes that are killed while they write it. Every change that was accepted is in it once, whoever wrote it.
 */

const slot = 'shared_by_all'
const secret = 'a secret of the test'
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 6)
let world: World
let heads: ReturnType<typeof headsFolder>
let children: ChildProcess[]

beforeEach(async () => {
  world = await World.create('create table posts (id serial primary key, title text)', {})
  heads = headsFolder()
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await world?.drop()
  heads?.remove()
})

function start(name: string, accepted: Set<string>): ChildProcess {
  const program = fileURLToPath(new URL('./journal-process.js', import.meta.url))
  const loader = new URL('./typescript-loader.mjs', import.meta.url).href
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', loader, program, world.database.url, slot, heads.path, name],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  createInterface({ input: child.stdout! }).on('line', (line) => accepted.add(line))
  children.push(child)
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

test('processes are killed while they write: every change that was accepted is in the journal once', {
  timeout: 400_000,
}, async () => {
  const accepted = new Set<string>()
  let transactions = 0
  const write = async () => {
    await world.admin.query("insert into posts (title) values ('a'), ('b')")
    transactions++
  }
  // The first one makes the journal: what lies before its slot is not in it.
  let running = start('p0', accepted)
  await until(
    async () => {
      const { rows } = await world.admin.query("select to_regclass('tidemark_journal.places') as there")
      if (!rows[0].there) return false
      return (await world.admin.query('select from tidemark_journal.places')).rowCount === 1
    },
    'the journal was never made',
    120_000,
  )
  // What was accepted before that is not in it; what comes now is.
  const first = accepted.size
  await until(() => accepted.size > first + 6)
  accepted.clear()
  for (let round = 1; round <= ROUNDS; round++) {
    // Two at once: the other one takes the slot over.
    const next = start(`p${round}`, accepted)
    await until(() => [...accepted].some((id) => id.startsWith(`p${round}-`)), `round ${round}`, 120_000)
    const before = accepted.size
    await until(async () => {
      await write()
      return accepted.size > before + 40
    })
    await kill(running)
    await write()
    running = next
  }
  await kill(running)
  for (let i = 0; i < 5; i++) await write()

  const { source, cache } = await world.open({ slot, secret, journal: { heads: heads.path } })
  const journal = source.journal!
  await until(() => cache.status().log.slot?.isHeld === true, 'it never got the slot', 30_000)
  await write()
  await until(
    async () => (await journal.count({ origins: ['rows'] })) >= transactions,
    () => `of ${transactions} transactions: ${JSON.stringify(journal.status())}`,
    120_000,
  )
  const records = await recordsWhen(journal, (all) => all.length > 0)
  const known = new Set(records.flatMap(({ requestId }) => requestId ?? []))
  expect([...accepted].filter((id) => !known.has(id))).toEqual([])
  const asked = records.flatMap(({ requestId }) => requestId ?? [])
  expect(accepted.size).toBeGreaterThan(40 * ROUNDS)
  expect(asked.length).toBe(new Set(asked).size)
  const ofRows = records.filter(({ origin }) => origin === 'rows')
  expect(ofRows).toHaveLength(transactions)
  expect(new Set(ofRows.map(({ lsn }) => lsn)).size).toBe(transactions)
  expect(records.filter(({ origin }) => origin === 'gap')).toEqual([])
  expect(records.filter(({ requestId, actor }) => requestId !== null && actor !== requestId.split('-')[0])).toEqual([])
  await journal.flush(AbortSignal.timeout(20_000))
  const check = await verified(journal)
  expect(check.problems).toEqual([])
  expect(check).toMatchObject({ intact: true, chains: 4 })
})
