import type { RelayRecord } from './record.js'

/** The rules as functions, so that the simulation can plant the bug of leaving one out. */
export const relayRules = {
  /** Predecessor: a record that begins behind this place says nothing about what lies between. */
  isGap(position: number, from: number): boolean {
    return from > position
  },
  /** Resume: what was relayed meanwhile is applied. */
  resumesAt(position: number, _since: readonly RelayRecord[]): number {
    return position
  },
  /** Start: a follower begins where all can be seen, not at the end. */
  startsAt(proven: number, _end: number): number {
    return proven
  },
  /** Start: what a snapshot of the leader has not shown may be hidden still. */
  provenUpTo(unprovenFrom: number | undefined, position: number): number {
    return unprovenFrom ?? position
  },
  /** What is delivered twice is relayed once. */
  isRepeated(lsn: number, position: number): boolean {
    return lsn <= position
  },
}
