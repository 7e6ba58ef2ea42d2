import { describe, expect, test } from 'vitest'
import { Ring, type RingRecord } from '../fence/ring.js'
import type { Snapshot, StartProof } from '../log/log.js'
import { FakeLog, ManualClock, rest } from '../testing/index.js'
import { Proof } from './proof.js'

const VISIBLE: StartProof = { kind: 'visible' }

/** A proof beside a log whose probes the test answers: a record is pushed, applied, and perhaps shown. */
function bed(start: StartProof = VISIBLE) {
  const clock = new ManualClock()
  const log = new FakeLog()
  log.isAutomatic = false
  const ring = new Ring({ changesMax: 100, rowsMax: 100 })
  let tick = 0
  const proof: Proof = new Proof(log, clock, { probed: () => {}, proven: () => {}, nextTick: () => ++tick })
  proof.start(start)
  const apply = (table: string): { record: RingRecord; show: () => void } => {
    const commit = log.write([{ kind: 'table', table, reason: 'truncate' }])
    const { record } = ring.push(commit, clock.now(), Number.POSITIVE_INFINITY)
    proof.applied(record)
    return { record, show: () => log.show(commit) }
  }
  /** The source answers all that it was asked so far. */
  const answer = async (): Promise<void> => {
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
  }
  return { clock, log, ring, proof, apply, answer }
}

describe('a change', () => {
  test('is proven by a snapshot that shows it, and by none that was taken before', async () => {
    const { proof, apply, answer, clock } = bed()
    await answer()
    const { record, show } = apply('a')
    show()
    await answer()
    // The probe of that moment was asked when the change was hidden.
    expect(record.provenAt).toBe(Number.POSITIVE_INFINITY)
    await clock.advance(50)
    await answer()
    expect(record.provenAt).toBeLessThan(Number.POSITIVE_INFINITY)
    expect(proof.unproven).toBe(0)
  })

  test('does not wait for another that is hidden', async () => {
    const { proof, apply, answer, clock } = bed()
    const hidden = apply('a')
    const shown = apply('b')
    shown.show()
    for (let i = 0; i < 3; i++) {
      await answer()
      await clock.advance(50)
    }
    expect(shown.record.provenAt).toBeLessThan(Number.POSITIVE_INFINITY)
    expect(hidden.record.provenAt).toBe(Number.POSITIVE_INFINITY)
    expect(proof.unproven).toBe(1)
  })

  test('costs one question for a whole batch, and a question in flight is followed by one more', async () => {
    const { log, apply, answer, clock } = bed()
    await answer()
    await clock.advance(1_000)
    expect(log.probes).toHaveLength(0)
    for (let i = 0; i < 50; i++) apply('a').show()
    expect(log.probes).toHaveLength(1)
    await answer()
    expect(log.probes).toHaveLength(1)
    await answer()
    await clock.advance(1_000)
    expect(log.probes).toHaveLength(0)
  })

  test('that had to leave the ring keeps the proof incomplete until it is visible', async () => {
    const { proof, apply, answer, clock } = bed()
    const { record, show } = apply('a')
    proof.forgotten(record)
    expect(proof.isComplete).toBe(false)
    await answer()
    expect(proof.isComplete).toBe(false)
    show()
    await clock.advance(50)
    await answer()
    await clock.advance(50)
    await answer()
    expect(proof.isComplete).toBe(true)
  })
})

describe('a wait', () => {
  test('ends with the changes that touch the dependencies, up to its position, and no others', async () => {
    const { proof, ring, apply, answer, clock } = bed()
    const first = apply('a')
    apply('b')
    const later = apply('a')
    const ended: string[] = []
    const on = (table: string, lsn: number): void =>
      void proof.whenProven(lsn, [{ kind: 'table', table }], ring, () => ended.push(`${table} ${lsn}`))
    on('c', later.record.lsn)
    on('a', first.record.lsn)
    on('a', later.record.lsn)
    expect(ended).toEqual([`c ${later.record.lsn}`])
    first.show()
    for (let i = 0; i < 3; i++) {
      await clock.advance(50)
      await answer()
    }
    expect(ended).toEqual([`c ${later.record.lsn}`, `a ${first.record.lsn}`])
    proof.close()
    expect(ended).toHaveLength(3)
  })
})

test('a wait does not end because its change had to leave the ring while it was hidden', async () => {
  const { proof, ring, apply, answer, clock } = bed()
  const { record, show } = apply('a')
  let isEnded = false
  proof.whenProven(record.lsn, undefined, ring, () => {
    isEnded = true
  })
  proof.forgotten(record)
  for (let i = 0; i < 3; i++) {
    await answer()
    await clock.advance(50)
  }
  expect(isEnded).toBe(false)
  show()
  for (let i = 0; i < 3; i++) {
    await answer()
    await clock.advance(50)
  }
  expect(isEnded).toBe(true)
})

describe('a start', () => {
  const snapshot: Snapshot = { xmin: 200, xmax: 200, running: new Set() }

  test('by a snapshot is seen once a current one covers it; by an id, once xmin has passed it', async () => {
    for (const start of [{ kind: 'snapshot', snapshot } as const, { kind: 'xmin', xid: 199 } as const]) {
      const { proof, log, answer, clock } = bed(start)
      await answer()
      expect(proof.isComplete, start.kind).toBe(false)
      log.snapshot = () => snapshot
      await clock.advance(50)
      await answer()
      await clock.advance(50)
      await answer()
      expect(proof.isComplete, start.kind).toBe(true)
    }
  })

  test('is not seen by an answer to a question of an earlier one', async () => {
    const { proof, log, answer } = bed()
    proof.start({ kind: 'snapshot', snapshot })
    log.snapshot = () => snapshot
    const [early] = log.probes
    expect(early).toBeDefined()
    await answer()
    expect(proof.isComplete).toBe(false)
    await answer()
    expect(proof.isComplete).toBe(true)
  })
})

describe('where a probe costs as much as a change', () => {
  /** The first change was asked for at once, and proven; two more came right after it. */
  const paced = async () => {
    const world = bed()
    world.log.probePaceMs = 2
    await world.answer()
    await world.clock.advance(50)
    const first = world.apply('a')
    first.show()
    expect(world.log.probes).toHaveLength(1)
    const more = [world.apply('b'), world.apply('c')]
    for (const { show } of more) show()
    world.log.probes.splice(0)[0]!.answer()
    await rest()
    expect(world.log.probes).toHaveLength(0)
    return { ...world, records: more.map(({ record }) => record) }
  }
  const areProven = (records: readonly RingRecord[]) => records.map(({ provenAt }) => Number.isFinite(provenAt))

  test('one serves for all changes of a moment', async () => {
    const { log, clock, answer, records } = await paced()
    await clock.advance(49)
    expect(log.probes).toHaveLength(0)
    await clock.advance(1)
    expect(log.probes).toHaveLength(1)
    await answer()
    expect(areProven(records)).toEqual([true, true])
  })

  test('it comes sooner where a fill was lost to what was unproven, for a while', async () => {
    const { log, clock, proof, apply, answer } = await paced()
    await clock.advance(50)
    await answer()
    proof.missed()
    apply('d').show()
    await clock.advance(2)
    expect(log.probes).toHaveLength(1)
    await answer()
    await clock.advance(50)
    apply('e').show()
    await answer()
    apply('f').show()
    await clock.advance(2)
    expect(log.probes).toHaveLength(0)
  })

  test.each(['begins', 'waits'])('a fill that %s does not wait for more of them', async (what) => {
    const { log, proof, ring, answer, records } = await paced()
    if (what === 'begins') proof.hurry()
    else proof.whenProven(Number.POSITIVE_INFINITY, undefined, ring, () => {})
    expect(log.probes).toHaveLength(1)
    await answer()
    expect(areProven(records)).toEqual([true, true])
  })
})

describe('a source that does not answer', () => {
  test('is asked again after a while, and a proof that was closed asks no more', async () => {
    const { proof, log, apply, answer, clock } = bed()
    await answer()
    const { record, show } = apply('a')
    show()
    for (const probe of log.probes.splice(0)) probe.fail()
    await clock.advance(199)
    expect(log.probes).toHaveLength(0)
    await clock.advance(1)
    expect(log.probes).toHaveLength(1)
    await answer()
    expect(record.provenAt).toBeLessThan(Number.POSITIVE_INFINITY)
    proof.close()
    expect(clock.timers).toBe(0)
    apply('b')
    expect(log.probes).toHaveLength(0)
  })
})
