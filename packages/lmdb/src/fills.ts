import type { L2Fill, L2Stamp } from 'tidemark'
import { decodeEntry, type EntryHead, encodeEntry, type Moment, packEntry } from './entry-record.js'
import { findEntry, placeOf, putEntry } from './entry-store.js'
import type { Environment, TideVersion } from './environment.js'
import { shapeKey, stampKey, textKey } from './keys.js'
import type { ShapeNumbers } from './shape-numbers.js'
import { newId } from './tide-record.js'
import { encodeSince, isExpired, isValid } from './validity.js'

/** Others may write the same entry, or shapes, at the same time; who loses looks again, so often. */
const TRIES_MAX = 10

export interface FillOptions {
  readonly environment: Environment
  readonly numbers: ShapeNumbers
  /** Beyond so many shapes, stamps whose shapes are missing are replaced by their wide ones. */
  readonly shapesMax: number
  /** Entries of more bytes are refused. */
  readonly entryBytesMax: number
  /** Waits for room for so many bytes; undefined if there is. */
  room(bytes: number): Promise<void> | undefined
  /** The present, later than any that it gave before. */
  now(): Moment
  /** Tells entries apart that processes store at the same moment. */
  readonly process: number
}

/**
 * Stores an entry, unless the contract, or its size, refuses it. What it was judged by may change before it is written; that does
 * no harm, as an entry is judged again whenever it is read.
 */
export async function fill(options: FillOptions, key: string, entry: L2Fill): Promise<'stored' | 'refused'> {
  const { environment, numbers, entryBytesMax } = options
  const at = textKey(key)
  let packed: EntryHead['packed'] | undefined
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    environment.refresh()
    const found = environment.tide()
    if (found?.tide.epoch !== entry.epoch) return 'refused'
    const { tide } = found
    const known = numbers.of(environment, tide)
    const isRoom = tide.shapes + missingOf(entry.stamps, known).length <= options.shapesMax
    const wanted = isRoom ? entry.stamps : widened(entry.stamps, known)
    const missing = missingOf(wanted, known)
    if (missing.length > 0) {
      if (tide.shapes + missing.length > 2 * options.shapesMax) return 'refused'
      await register(environment, found, missing)
      continue
    }
    const stamps = wanted.map(({ shape, name }) => stampKey(known.get(shape)!, name))
    if (!isValid(environment, tide, entry.lsn, stamps)) return 'refused'
    if (isExpired(environment, tide, entry.lsn, stamps)) return 'refused'
    const former = findEntry(environment, at)
    const held = former?.record && decodeEntry(at, former.record)
    if (held?.generation === tide.generation && held.lsn > entry.lsn) return 'refused'
    if (packed === undefined) {
      packed = packEntry(entry)
      if (packed === undefined || packed.bytes.length > entryBytesMax) return 'refused'
      const room = options.room(packed.bytes.length)
      if (room) {
        await room
        continue
      }
    }
    const { lsn, ageMs, remainingMs } = entry
    const storedAt = options.now()
    const head = { generation: tide.generation, lsn, storedAt, ageMs, remainingMs, stamps, packed }
    const place = placeOf(storedAt.upMicros, options.process)
    if (await putEntry(environment, at, former, place, encodeEntry(at, head))) return 'stored'
  }
  return 'refused'
}

function missingOf(stamps: readonly L2Stamp[], known: ReadonlyMap<string, number>): string[] {
  return [...new Set(stamps.map(({ shape }) => shape).filter((shape) => !known.has(shape)))]
}

function widened(stamps: readonly L2Stamp[], known: ReadonlyMap<string, number>): L2Stamp[] {
  return stamps.map((stamp) => (known.has(stamp.shape) ? stamp : (stamp.wide ?? stamp)))
}

/** Adds shapes that are stamped from here on. If another write was faster, nothing is added. */
function register(environment: Environment, from: TideVersion, shapes: readonly string[]): Promise<boolean> {
  const { tide } = from
  const to = { ...tide, shapesId: newId(), shapes: tide.shapes + shapes.length }
  const since = encodeSince(tide.m)
  return environment.advance(from, to, () => {
    for (const [i, shape] of shapes.entries()) {
      const key = shapeKey(tide.shapes + i)
      void environment.shapes.put(key, Buffer.from(shape))
      void environment.sinces.put(key, since)
    }
  })
}
