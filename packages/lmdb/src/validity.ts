import type { Environment } from './environment.js'
import { shapeKeyOf } from './keys.js'
import type { Tide } from './tide-record.js'

/** Whether what holds as of a position still does: none of its shapes is younger, and none of its stamps later. */
export function isValid(environment: Environment, tide: Tide, lsn: number, stamps: readonly Buffer[]): boolean {
  // Nothing in the file is later than its tide.
  if (lsn >= tide.m) return true
  return stamps.every((stamp) => {
    const since = sinceOf(environment, shapeKeyOf(stamp))
    return since !== undefined && lsn >= since && (stampOf(environment, stamp)?.lsn ?? 0) <= lsn
  })
}

export function sinceOf(environment: Environment, shape: Buffer): number | undefined {
  return environment.sinces.getBinaryFast(shape)?.readDoubleBE(0)
}

export function encodeSince(lsn: number): Buffer {
  const since = Buffer.allocUnsafe(8)
  since.writeDoubleBE(lsn)
  return since
}

/** The last position that touched it, and its place among those of the same position. */
export interface StampRecord {
  readonly lsn: number
  readonly place: number
}

export function stampOf(environment: Environment, stamp: Buffer): StampRecord | undefined {
  const record = environment.stamps.getBinaryFast(stamp)
  return record && { lsn: record.readDoubleBE(0), place: record.readUInt32BE(8) }
}
