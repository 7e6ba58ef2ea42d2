import type { Environment } from './environment.js'
import { expiryKey, shapeKey, shapeKeyOf, shapeOf } from './keys.js'
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

/** Whether something has let it expire since. */
export function isExpired(environment: Environment, tide: Tide, lsn: number, stamps: readonly Buffer[]): boolean {
  if (lsn >= tide.expiry) return false
  return stamps.some((stamp) => (stampOf(environment, expiryKey(stamp))?.lsn ?? 0) > lsn)
}

export function sinceOf(environment: Environment, shape: Buffer): number | undefined {
  return environment.sinces.getBinaryFast(shape)?.readDoubleBE(0)
}

/** A mark that whoever reads an older entry has to judge. */
export interface Pattern {
  readonly lsn: number
  readonly text: string
}

const SINCE_BYTES = 8

/** With the patterns of the shape that are later, oldest first. */
export function encodeSince(lsn: number, patterns: readonly Pattern[] = []): Buffer {
  const text = patterns.length === 0 ? '' : JSON.stringify(patterns)
  const record = Buffer.allocUnsafe(SINCE_BYTES + Buffer.byteLength(text))
  record.writeDoubleBE(lsn)
  record.write(text, SINCE_BYTES, 'utf8')
  return record
}

export function patternsOf(environment: Environment, shape: Buffer): Pattern[] {
  const record = environment.sinces.getBinaryFast(shape)
  return record && record.length > SINCE_BYTES ? (JSON.parse(record.toString('utf8', SINCE_BYTES)) as Pattern[]) : []
}

/** Those that are later than an entry. */
export function laterPatterns(environment: Environment, tide: Tide, lsn: number, stamps: readonly Buffer[]): string[] {
  if (lsn >= tide.m) return []
  const shapes = new Set(stamps.map((stamp) => shapeOf(stamp)))
  const patterns = [...shapes].flatMap((shape) => patternsOf(environment, shapeKey(shape)))
  return patterns.filter((pattern) => pattern.lsn > lsn).map(({ text }) => text)
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
