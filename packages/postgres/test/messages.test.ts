import type { Target, TargetChange } from 'tidemark'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { Messages } from '../src/wal/messages.js'
import { nonce, plain, type Recorder, until, type World, world } from './recorder.js'

let db: World
let log: Recorder
let trusted: Recorder
let stranger: Recorder

beforeAll(async () => {
  db = await world()
  log = await db.log({ secret: 'a' })
  trusted = await db.log({ secret: 'a', cataloguePollMs: 60_000 })
  stranger = await db.log({ secret: 'b', cataloguePollMs: 60_000 })
})

afterAll(async () => {
  await db?.end()
})

function expire(): TargetChange {
  return {
    kind: 'target',
    targets: [
      { kind: 'key', tenant: '', key: 'post(42)' },
      { kind: 'tag', tenant: 'übung', tag: 'a "b" \u0000 é 😀' },
    ],
    mode: 'expire',
    nonce: nonce(),
  }
}

async function targets(each: Recorder): Promise<unknown> {
  return plain((await each.since()).filter((change) => change.kind === 'target'))
}

test('a request comes back in the log, to its own process and to those that know the secret, as it was', async () => {
  const change = expire()
  await log.log.append(change)
  expect(await targets(log)).toEqual([change])
  expect(await targets(trusted)).toEqual([change])
})

test('patterns, tenants and everything come back as they were, under a version that says so', async () => {
  const wide: Target[] = [
    { kind: 'key', tenant: 't', key: 'k' },
    { kind: 'pattern', tenant: 'übung', syntax: 'glob', pattern: 'a\\*"\u00e9*\u0000😀' },
    { kind: 'pattern', tenant: '', syntax: 'regex', pattern: '^user:\\d+$' },
    { kind: 'tenant', tenant: 'acme' },
    { kind: 'everything' },
  ]
  await stranger.since()
  const change: TargetChange = { kind: 'target', targets: wide, mode: 'expire', nonce: nonce() }
  const messages = new Messages('a')
  expect(messages.target(change)).toContain('"v":2')
  // Of keys and tags every version knows what they concern.
  expect(messages.target(expire())).toContain('"v":1')
  await log.log.append(change)
  expect(await targets(log)).toEqual([change])
  expect(await targets(stranger)).toEqual([{ ...change, mode: 'drop' }])
})

test('who does not know the secret reads it as a drop', async () => {
  await stranger.since()
  const change = expire()
  await log.log.append(change)
  expect(await targets(stranger)).toEqual([{ ...change, mode: 'drop' }])
})

test('who asked and why comes back to its own process and to those that know the secret, and to nobody else', async () => {
  await Promise.all([log.since(), trusted.since(), stranger.since()])
  const by = { actor: 'admin "ü" 😀', requestId: 'req-001', cause: 'a price was wrong' }
  const change: TargetChange = { ...expire(), by }
  expect(new Messages('a').target(change)).toContain('"v":1')
  await log.log.append(change)
  expect(await targets(log)).toEqual([change])
  expect(await targets(trusted)).toEqual([change])
  const { by: _, ...unnamed } = change
  expect(await targets(stranger)).toEqual([{ ...unnamed, mode: 'drop' }])
})

test('an appended change is durable when append resolves, and has a position after what was committed before', async () => {
  await log.since()
  const { flushed } = await log.log.probe()
  await log.log.append(expire())
  await log.caughtUp()
  expect(log.commits).toHaveLength(1)
  expect(log.commits[0]!.lsn).toBeGreaterThan(flushed)
  expect(log.commits[0]!.xid).toBeGreaterThan(0)
})

// Before, whoever writes a message writes a row.
if (!isBefore(14)) {
  test('anybody may drop; nothing that is malformed, foreign or not transactional does anything', async () => {
    await log.since()
    const before = log.log.malformedMessages
    const drop = JSON.stringify({ v: 1, m: 'expire', t: [['t', '', 'x']] })
    const bad = [
      '',
      '-',
      'nonsense',
      '- {',
      '- {"v":1}',
      '- {"v":1,"m":"drop","t":[["q","","x"]]}',
      '- {"v":1,"m":"drop","t":[["k","",1]]}',
      '- {"v":2,"m":"drop","t":[["p","","x*","sql"]]}',
      '- {"v":2,"m":"drop","t":[["p","","x*"]]}',
      '- {"v":2,"m":"drop","t":[["n"]]}',
      '- {"v":2,"m":"drop","t":[["e","x"]]}',
    ]
    for (const content of bad) await db.sql(`select pg_logical_emit_message(true, 'tidemark/target', '${content}')`)
    await db.sql(`select pg_logical_emit_message(true, 'other', '- ${drop}')`)
    await db.sql(`select pg_logical_emit_message(false, 'tidemark/target', '- ${drop}')`)
    expect(await log.since()).toEqual([])
    expect(log.log.malformedMessages - before).toBe(bad.length)
    await db.sql(`select pg_logical_emit_message(true, 'tidemark/target', '- ${drop}')`)
    expect(await log.since()).toEqual([
      { kind: 'target', targets: [{ kind: 'tag', tenant: '', tag: 'x' }], mode: 'drop' },
    ])
  })

  test('a forged message names nobody', async () => {
    await log.since()
    const forged = JSON.stringify({ v: 1, m: 'drop', t: [['t', '', 'x']], b: { actor: 'root' }, n: 'guessed' })
    for (const mac of ['-', 'A'.repeat(43)])
      await db.sql(`select pg_logical_emit_message(true, 'tidemark/target', '${mac} ${forged}')`)
    const drop = { kind: 'target', targets: [{ kind: 'tag', tenant: '', tag: 'x' }], mode: 'drop', nonce: 'guessed' }
    expect(plain(await log.since())).toEqual([drop, drop])
  })

  test('a forged message about the catalogue can only drop everything, and silences no later one', async () => {
    await log.since()
    await db.sql(`select pg_logical_emit_message(true, 'tidemark/ddl', '- {"v":1,"f":"0123"}')`)
    expect(plain(await log.since())).toEqual([{ kind: 'everything', reason: 'the catalogue changed' }])
  })

  test('a message of a newer version concerns everything, also what did not come from the source', async () => {
    await log.since()
    await db.sql(`select pg_logical_emit_message(true, 'tidemark/target', '- {"v":3,"x":1}')`)
    expect(await log.since()).toEqual([{ kind: 'target', targets: [{ kind: 'everything' }], mode: 'drop' }])
    await db.sql(`select pg_logical_emit_message(true, 'tidemark/ddl', '- {"v":4,"x":1}')`)
    expect(await log.since()).toMatchObject([{ kind: 'everything' }])
  })
}

test('a process that learns of a change of the catalogue from the log knows what it touches', async () => {
  await db.sql('create table announced (id int primary key)')
  // Those two look only when the log tells them to.
  await until(() => trusted.log.followed('public.announced') !== undefined)
  await until(() => stranger.log.followed('public.announced') !== undefined)
  await Promise.all([log.since(), trusted.since(), stranger.since()])
  await db.sql('alter table announced alter id type bigint')
  const told = (each: Recorder) => each.changes.filter(({ kind }) => kind !== 'target')
  for (const each of [log, trusted, stranger]) {
    // The stranger believes nobody, and announces it once more.
    await until(() => told(each).length >= 2)
    await each.caughtUp()
    for (const change of told(each)) expect(change).toEqual({ kind: 'table', table: 'public.announced', reason: 'ddl' })
  }
})

if (!isBefore(14)) {
  test('what somebody writes as an event trigger would can only drop, and breaks nothing', async () => {
    const forged = [
      '- {"v":3}',
      '- {"v":3,"d":7,"g":[]}',
      '- {"v":3,"d":[null],"g":[]}',
      '- {"v":3,"d":[{"class":"relation","oid":1,"name":"x","def":"","quiet":"","xmin":"","more":{"columns":7,"parents":8}}],"g":[]}',
      '- {"v":3,"d":[{"class":"policy","oid":1,"name":"","def":"","quiet":"","xmin":"","more":{}}],"g":[["relation",2]]}',
      '- {"v":3,"d":[{"class":"nothing","oid":1,"name":"","def":"","quiet":"","xmin":"","more":{}}],"g":[[]]}',
    ]
    await stranger.since()
    for (const content of forged) {
      await db.sql(`select pg_logical_emit_message(true, 'tidemark/ddl', '${content}')`)
      for (const change of await stranger.since()) expect(['everything', 'table', 'target']).toContain(change.kind)
    }
    expect(stranger.losses).toEqual([])
  })
}
