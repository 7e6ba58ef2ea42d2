import type { Environment } from './environment.js'
import { orderKey } from './keys.js'

/** An entry as it lies in the file. */
export interface StoredEntry {
  /** Its place in the order, which no other entry has; starts with its version. */
  readonly place: Buffer
  readonly version: number
  /** undefined if parts of it are missing. */
  readonly record: Buffer | undefined
  readonly bytes: number
}

/** What the order says of an entry: enough to remove it without reading it. */
export interface Placed {
  readonly place: Buffer
  readonly key: Buffer
  readonly bytes: number
}

const PLACE_BYTES = 12
const HEAD_BYTES = PLACE_BYTES + 4
/**
 * What fits into a page of its own. More is stored in parts: an entry that needed several pages in a row would leave holes that nothing
 * fits into, and the file would grow for ever.
 */
const PART_BYTES = 4_072
const WHOLE_BYTES = PART_BYTES - HEAD_BYTES

export function placeOf(upMicros: number, among: number): Buffer {
  return orderKey(upMicros, among)
}

export function findEntry({ entries, parts }: Environment, key: Buffer): StoredEntry | undefined {
  const found = entries.getEntry(key)
  if (!found) return undefined
  const { value } = found
  const version = found.version!
  const place = value.subarray(0, PLACE_BYTES)
  const bytes = value.length < HEAD_BYTES ? 0 : value.readUInt32BE(PLACE_BYTES)
  if (bytes <= WHOLE_BYTES) return { place, version, record: value.subarray(HEAD_BYTES), bytes }
  const record = Buffer.allocUnsafe(bytes)
  for (let at = 0, i = 0; at < bytes; at += PART_BYTES, i++) {
    const size = Math.min(PART_BYTES, bytes - at)
    const part = parts.getBinaryFast(partKey(place, i))
    if (part?.length !== size) return { place, version, record: undefined, bytes }
    record.set(part.subarray(0, size), at)
  }
  return { place, version, record, bytes }
}

/** Stores an entry in the place of the one that was read, unless another one is there now. */
export function putEntry(
  environment: Environment,
  key: Buffer,
  former: StoredEntry | undefined,
  place: Buffer,
  record: Buffer,
): Promise<boolean> {
  const { entries, order, parts } = environment
  const isWhole = record.length <= WHOLE_BYTES
  const value = Buffer.allocUnsafe(HEAD_BYTES + (isWhole ? record.length : 0))
  place.copy(value)
  value.writeUInt32BE(record.length, PLACE_BYTES)
  if (isWhole) record.copy(value, HEAD_BYTES)
  const placed = Buffer.allocUnsafe(4 + key.length)
  placed.writeUInt32BE(record.length)
  key.copy(placed, 4)
  return environment.writeIf(entries, key, former?.version, () => {
    if (former) removePlaced(environment, former)
    void entries.put(key, value, versionOf(place))
    void order.put(place, placed)
    if (isWhole) return
    for (let i = 0; i * PART_BYTES < record.length; i++) {
      void parts.put(partKey(place, i), record.subarray(i * PART_BYTES, (i + 1) * PART_BYTES))
    }
  })
}

/** The entries that were stored longest ago. */
export function* oldestEntries({ order }: Environment, limit: number): Iterable<Placed> {
  for (const { key: place, value } of order.getRange({ limit })) {
    yield { place, bytes: value.readUInt32BE(0), key: value.subarray(4) }
  }
}

/** Removes those that are still there. */
export function removeEntries(environment: Environment, placed: readonly Placed[]): Promise<void> {
  return environment.write(() => {
    for (const entry of placed) {
      environment.removeEntry(entry.key, versionOf(entry.place))
      removePlaced(environment, entry)
    }
  })
}

function removePlaced({ order, parts }: Environment, { place, bytes }: Pick<Placed, 'place' | 'bytes'>): void {
  void order.remove(place)
  if (bytes <= WHOLE_BYTES) return
  for (let i = 0; i * PART_BYTES < bytes; i++) void parts.remove(partKey(place, i))
}

function versionOf(place: Buffer): number {
  return place.readDoubleBE(0)
}

function partKey(place: Buffer, i: number): Buffer {
  const key = Buffer.allocUnsafe(PLACE_BYTES + 4)
  place.copy(key)
  key.writeUInt32BE(i, PLACE_BYTES)
  return key
}
