import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Dependency } from '../dependencies/dependency.js'
import type { Change } from '../log/change.js'
import { type FencedFill, overtakenBy } from './fence.js'
import { Ring } from './ring.js'

const INFINITY = Number.POSITIVE_INFINITY
const tag = (name: string): Dependency => ({ kind: 'tag', tenant: 't', tag: name })
const change = (name: string): Change => ({
  kind: 'target',
  targets: [{ kind: 'tag', tenant: 't', tag: name }],
  mode: 'drop',
})

function ring(...commits: { lsn: number; tag: string; appliedAt?: number; provenAt?: number }[]): Ring {
  const ring = new Ring({ changesMax: 1_000, rowsMax: 1_000 })
  for (const { lsn, tag, appliedAt = 0, provenAt = 0 } of commits)
    ring.push({ lsn, xid: lsn, committedAt: 0, changes: [change(tag)] }, appliedAt, provenAt)
  return ring
}

function fill(fill: Partial<FencedFill> = {}): FencedFill {
  return { began: 10, t0: 100, lagFrom: INFINITY, seenTo: INFINITY, ...fill }
}

describe('a fill', () => {
  test('that no change touched since it began is kept', () => {
    expect(overtakenBy(fill(), [tag('a')], ring({ lsn: 50, tag: 'a' }, { lsn: 150, tag: 'b' }))).toBe(undefined)
  })

  test('that a change touched since it began is overtaken by the first such change', () => {
    const changes = ring({ lsn: 101, tag: 'b' }, { lsn: 102, tag: 'a' }, { lsn: 103, tag: 'a' })
    expect(overtakenBy(fill(), [tag('a')], changes)).toEqual({ at: 102, reason: 'overtaken' })
  })

  test('that began after a change was applied and before it was proven may have missed it', () => {
    for (const provenAt of [11, INFINITY])
      expect(overtakenBy(fill(), [tag('a')], ring({ lsn: 99, tag: 'a', provenAt }))).toEqual({
        at: 99,
        reason: 'unproven',
      })
    expect(overtakenBy(fill(), [tag('a')], ring({ lsn: 99, tag: 'a', provenAt: 10 }))).toBe(undefined)
  })

  test('that reads what lags missed what was applied within the lag', () => {
    const changes = ring({ lsn: 50, tag: 'a', appliedAt: 5 })
    expect(overtakenBy(fill({ lagFrom: 4 }), [tag('a')], changes)).toEqual({ at: 50, reason: 'unproven' })
    expect(overtakenBy(fill({ lagFrom: 5 }), [tag('a')], changes)).toBe(undefined)
  })

  test('that read a replica missed what came after its replay position', () => {
    const changes = ring({ lsn: 50, tag: 'a' })
    expect(overtakenBy(fill({ seenTo: 49 }), [tag('a')], changes)).toMatchObject({ at: 50 })
    expect(overtakenBy(fill({ seenTo: 50 }), [tag('a')], changes)).toBe(undefined)
  })

  test('that would need older changes than the ring holds is not believed', () => {
    const changes = ring()
    changes.reset(80, 8)
    expect(overtakenBy(fill({ seenTo: 79 }), [], changes)).toEqual({ at: -INFINITY, reason: 'forgotten' })
    expect(overtakenBy(fill({ lagFrom: 7 }), [], changes)).toEqual({ at: -INFINITY, reason: 'forgotten' })
    expect(overtakenBy(fill({ seenTo: 80, lagFrom: 8 }), [], changes)).toBe(undefined)
  })
})

describe('the ring', () => {
  test('keeps what a running fill may have missed, whatever comes and goes, and no more than its limit', () => {
    const step = fc.record({
      tag: fc.constantFrom('a', 'b'),
      provesAfter: fc.option(fc.nat(5)),
      oldestBegan: fc.option(fc.nat(30)),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), (steps, changesMax) => {
        const ring = new Ring({ changesMax, rowsMax: 100 })
        const all: { lsn: number; provenAt: number }[] = []
        steps.forEach(({ tag, provesAfter, oldestBegan }, tick) => {
          const lsn = tick + 1
          const provenAt = provesAfter === null ? INFINITY : tick + provesAfter
          const { gone } = ring.push({ lsn, xid: lsn, committedAt: 0, changes: [change(tag)] }, tick, provenAt)
          all.push({ lsn, provenAt })
          expect(ring.changes).toBeLessThanOrEqual(changesMax)
          const oldest = oldestBegan ?? INFINITY
          const before = ring.select(() => true)
          ring.trim(oldest, INFINITY, undefined)
          const held = new Set(ring.select(() => true).map((record) => record.lsn))
          // What left says so: `from` is the end of the last that is gone.
          for (const record of all) expect(held.has(record.lsn)).toBe(record.lsn > ring.from)
          for (const record of gone) expect(record.lsn).toBeLessThanOrEqual(ring.from)
          // But for the limit, nothing leaves that was not proven when the oldest fill began.
          for (const record of before) if (!held.has(record.lsn)) expect(record.provenAt).toBeLessThan(oldest)
        })
      }),
    )
  })

  test('keeps a large transaction as its tables, and requests as they are', () => {
    const ring = new Ring({ changesMax: 1_000, rowsMax: 2 })
    const row = (table: string, id: string): Change => ({ kind: 'row', op: 'insert', table, old: null, new: { id } })
    const changes = [row('a', '1'), change('x'), row('a', '2'), row('b', '1')]
    const { record } = ring.push({ lsn: 1, xid: 1, committedAt: 0, changes }, 0, 0)
    expect(record.changes).toEqual([
      change('x'),
      { kind: 'table', table: 'a', reason: 'large' },
      { kind: 'table', table: 'b', reason: 'large' },
    ])
  })
})
