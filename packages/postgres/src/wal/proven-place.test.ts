import type { Snapshot } from 'tidemark'
import { beforeEach, expect, test } from 'vitest'
import { ProvenPlace } from './proven-place.js'

let show: (snapshot: Snapshot) => void
let asked: number
const snapshots = {
  xmax: 10,
  watch(seen: (snapshot: Snapshot) => void) {
    show = seen
    return () => {
      show = () => {}
    }
  },
  probe: async () => void asked++,
}
const snapshot = (xmin: number, xmax: number, ...running: number[]): Snapshot => ({
  xmin,
  xmax,
  running: new Set(running),
})
let place: ProvenPlace

beforeEach(() => {
  asked = 0
  place = new ProvenPlace(snapshots, { kind: 'visible' })
})

test('what was delivered is proven once a snapshot shows it, and all before it', () => {
  place.passed(50)
  expect(place.lsn).toBe(50)
  place.committed({ endLsn: 100, xid: 7 })
  place.committed({ endLsn: 120, xid: 6 })
  expect(place.lsn).toBe(50)
  show(snapshot(7, 8, 7))
  expect(place.lsn).toBe(50)
  place.committed({ endLsn: 140, xid: 9 })
  place.passed(150)
  show(snapshot(8, 8))
  expect(place.lsn).toBe(120)
  show(snapshot(10, 10))
  expect(place.lsn).toBe(150)
})

test('a snapshot that does not reach a transaction does not show it', () => {
  place.committed({ endLsn: 100, xid: 7 })
  show(snapshot(7, 7))
  expect(place.lsn).toBe(0)
})

test('nothing is proven before what lies before the slot was seen', () => {
  place = new ProvenPlace(snapshots, { kind: 'snapshot', snapshot: snapshot(7, 9, 7) })
  place.passed(80)
  show(snapshot(7, 8, 7))
  expect([place.isStartSeen, place.lsn]).toEqual([false, 0])
  show(snapshot(7, 9, 7))
  expect([place.isStartSeen, place.lsn]).toEqual([true, 80])
})

test('a snapshot is asked for only while something was not seen', () => {
  place.ask()
  expect(asked).toBe(0)
  place.committed({ endLsn: 100, xid: 7 })
  place.ask()
  expect(asked).toBe(1)
  show(snapshot(8, 8))
  place.ask()
  expect(asked).toBe(1)
})

test('of many more than are remembered one by one, none counts before all of them are over', () => {
  for (let xid = 1; xid <= 20_000; xid++) place.committed({ endLsn: xid * 10, xid: xid })
  show(snapshot(15_000, 20_001, 15_000))
  expect(place.lsn).toBeLessThan(150_000)
  show(snapshot(20_001, 20_001))
  expect(place.lsn).toBe(200_000)
})

test('it hears nothing once the slot is not read any more', () => {
  place.committed({ endLsn: 100, xid: 7 })
  place.end()
  show(snapshot(8, 8))
  expect(place.lsn).toBe(0)
})

test('of a mark nothing is acknowledged, nor of what came after it, while it holds', () => {
  place.committed({ endLsn: 100, xid: 5 })
  let isNewest = true
  place.mark(() => isNewest)
  place.committed({ endLsn: 120, xid: 6 })
  place.passed(150)
  show(snapshot(10, 10))
  expect(place.lsn).toBe(100)
  isNewest = false
  expect(place.lsn).toBe(150)
})
