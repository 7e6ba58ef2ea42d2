import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Snapshot } from '../log/log.js'
import { covers, isVisible } from './visible.js'

// Both might compare ids of the wrong end, forget those that run in between, or wait for transactions that nobody need wait for.

const FIRST = 100
const COUNT = 12

/** Which of the transactions from FIRST on a snapshot sees as ended. */
const seen = fc.uniqueArray(fc.integer({ min: 0, max: COUNT - 1 })).map((ids) => new Set(ids.map((id) => FIRST + id)))

/** The snapshot that sees these, as PostgreSQL writes it; `slack`: how far its end lies beyond the last of them. */
function snapshotOf(ended: ReadonlySet<number>, slack = 0): Snapshot {
  const xmax = Math.max(FIRST - 1, ...ended) + 1 + slack
  const running = new Set<number>()
  for (let xid = FIRST; xid < xmax; xid++) if (!ended.has(xid)) running.add(xid)
  return { xmin: running.size > 0 ? Math.min(...running) : xmax, xmax, running }
}

function isSubset(part: ReadonlySet<number>, whole: ReadonlySet<number>): boolean {
  return [...part].every((xid) => whole.has(xid))
}

describe('a snapshot', () => {
  test('shows exactly the transactions that it saw end, and all from before', () => {
    fc.assert(
      fc.property(seen, fc.integer({ min: 0, max: 3 }), (ended, slack) => {
        const snapshot = snapshotOf(ended, slack)
        for (let xid = FIRST; xid < FIRST + COUNT + 5; xid++) expect(isVisible(xid, snapshot)).toBe(ended.has(xid))
        expect(isVisible(FIRST - 1, snapshot)).toBe(true)
      }),
    )
  })

  test('covers another exactly if it sees all that the other saw', () => {
    fc.assert(
      fc.property(seen, seen, fc.boolean(), (then, more, isGrown) => {
        const now = isGrown ? new Set([...then, ...more]) : more
        expect(covers(snapshotOf(now), snapshotOf(then))).toBe(isSubset(then, now))
      }),
    )
  })

  test('that covers one whose end lies further than it saw, as a slot exports it, sees all the same', () => {
    fc.assert(
      fc.property(seen, seen, fc.integer({ min: 0, max: 5 }), (then, more, slack) => {
        const now = new Set([...then, ...more])
        const isCovered = covers(snapshotOf(now), snapshotOf(then, slack))
        // It waits for the end to be passed, and for no transaction that runs in both.
        expect(isCovered).toBe(snapshotOf(now).xmax >= snapshotOf(then, slack).xmax)
      }),
    )
  })
})
