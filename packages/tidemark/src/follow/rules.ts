import type { RingRecord } from '../fence/ring.js'

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const startRules = {
  /** A log may be taken up before what was applied: until it has come there again, nothing is believed. */
  isBehind(tidemark: number, startedAt: number): boolean {
    return tidemark < startedAt
  },
}

/** The rule's parts as functions, so that the simulation can plant the bug of leaving one out. */
export const trimRules = {
  /** The ring keeps what was not proven when the oldest running fill began. */
  oldestNeeded(oldestBegan: number): number {
    return oldestBegan
  },
  /** A change that left by the limit might have touched a fill that began before its proof. */
  isStillNeeded(record: RingRecord, oldestBegan: number): boolean {
    return record.provenAt >= oldestBegan
  },
}
