import type { L2Answer, L2Batch, L2Mark } from 'tidemark'
import { bytesOf, countOf, type Environment, type TideVersion } from './environment.js'
import { LmdbDownError } from './errors.js'
import { expiryKey, orderKey, shapeKey, shapeOf, stampKey } from './keys.js'
import type { ShapeNumbers } from './shape-numbers.js'
import { newId, type Tide } from './tide-record.js'
import { encodeSince, type Pattern, patternsOf, sinceOf, stampOf } from './validity.js'

/** Of one shape; more names in one batch count as all that has the shape. */
const NAMES_MAX = 5_000
/** So many patterns are kept of each shape. */
const PATTERNS_MAX = 32
/** Who loses against another write looks again: it got further meanwhile. */
const TRIES_MAX = 100

export interface BatchOptions {
  readonly environment: Environment
  readonly numbers: ShapeNumbers
  /** So many stamps are kept, in so many bytes. */
  readonly stampsMax: number
  readonly stampBytesMax: number
}

export async function invalidate(options: BatchOptions, batch: L2Batch): Promise<L2Answer> {
  const { environment, numbers } = options
  const { epoch, prev, end, mayReset } = batch
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    environment.refresh()
    const found = environment.tide()
    if (found?.tide.epoch !== epoch || (found.tide.m < prev && mayReset)) {
      const tide: Tide = { epoch, m: end, expiry: 0, generation: newId(), shapesId: newId(), shapes: 0 }
      if (await environment.advance(found, tide, () => environment.clear())) return answer('applied', tide)
      continue
    }
    const { tide } = found
    if (tide.m < prev) return answer('behind', tide)
    if (tide.m >= end) return answer('applied', tide)
    const known = numbers.of(environment, tide)
    if (batch.shapes !== textOf(tide.shapesId)) return { ...answer('shapes', tide), shapes: [...known.keys()] }
    const marks = marked(batch.marks, tide.m, known)
    const to = { ...tide, m: end, expiry: Math.max(tide.expiry, marks.expiry) }
    if (await apply(options, found, to, marks)) return answer('applied', to)
  }
  throw new LmdbDownError('Other processes wrote to the file of L2 all the time; this batch is told again.')
}

/** What a batch says, each thing once: the last position. */
interface Marked {
  /** By shape. */
  readonly sinces: Map<number, number>
  /** By shape, in the order of their positions. */
  readonly patterns: Map<number, Pattern[]>
  /** By stamp, in Latin-1; in the order of their positions. */
  readonly stamps: Map<string, number>
  /** The last position that lets something expire; 0 if there is none. */
  readonly expiry: number
}

function marked(marks: readonly L2Mark[], m: number, numbers: ReadonlyMap<string, number>): Marked {
  const sinces = new Map<number, number>()
  const stamps = new Map<string, number>()
  const patterns = new Map<number, Pattern[]>()
  const names = new Map<number, number>()
  let expiry = 0
  for (const { lsn, shape, name, pattern, isExpiry } of marks) {
    const number = numbers.get(shape)
    if (number === undefined || lsn <= m) continue
    if (pattern !== undefined) {
      patterns.set(number, [...(patterns.get(number) ?? []), { lsn, text: pattern }])
      continue
    }
    const count = names.get(number) ?? 0
    if (name === undefined || count >= NAMES_MAX) {
      raise(sinces, number, lsn)
      continue
    }
    names.set(number, count + 1)
    const key = stampKey(number, name)
    if (isExpiry) expiry = Math.max(expiry, lsn)
    const stamp = (isExpiry ? expiryKey(key) : key).toString('latin1')
    stamps.delete(stamp)
    stamps.set(stamp, lsn)
  }
  return { sinces, stamps, patterns, expiry }
}

function apply(
  options: BatchOptions,
  from: TideVersion,
  to: Tide,
  { sinces, stamps, patterns }: Marked,
): Promise<boolean> {
  const { environment } = options
  const puts: { readonly stamp: Buffer; readonly place: Buffer }[] = []
  /** Places in the order that are free then. */
  const left = new Set<string>()
  const gone: Buffer[] = []
  let added = 0
  for (const [text, lsn] of stamps) {
    const stamp = Buffer.from(text, 'latin1')
    const former = stampOf(environment, stamp)
    if (former) left.add(orderKey(former.lsn, former.place).toString('latin1'))
    else added++
    puts.push({ stamp, place: orderKey(lsn, puts.length) })
  }
  let over = tooMany(options, added)
  const leave = (stamp: Buffer, lsn: number): void => {
    gone.push(stamp)
    raise(sinces, shapeOf(stamp), lsn)
    over--
  }
  if (over > 0) {
    // The oldest are those that were there, then the first of this batch.
    for (const { key, value } of environment.stampOrder.getRange()) {
      if (over <= 0) break
      const place = key.toString('latin1')
      if (left.has(place)) continue
      left.add(place)
      leave(value, key.readDoubleBE(0))
    }
    while (over > 0) {
      const { stamp, place } = puts.shift()!
      leave(stamp, place.readDoubleBE(0))
    }
  }
  const records = [...new Set([...sinces.keys(), ...patterns.keys()])].map((number) =>
    sinceAfter(environment, number, sinces.get(number) ?? 0, patterns.get(number) ?? []),
  )
  return environment.advance(from, to, () => {
    for (const place of left) void environment.stampOrder.remove(Buffer.from(place, 'latin1'))
    for (const stamp of gone) void environment.stamps.remove(stamp)
    for (const { stamp, place } of puts) {
      void environment.stamps.put(stamp, place)
      void environment.stampOrder.put(place, stamp)
    }
    for (const { shape, record } of records) void environment.sinces.put(shape, record)
  })
}

/** What is kept of a shape then: only patterns that are later than its since matter. */
function sinceAfter(environment: Environment, number: number, raised: number, added: readonly Pattern[]) {
  const shape = shapeKey(number)
  const all = [...patternsOf(environment, shape), ...added]
  const over = all.length > PATTERNS_MAX ? all[all.length - PATTERNS_MAX - 1]!.lsn : 0
  const since = Math.max(sinceOf(environment, shape) ?? 0, raised, over)
  return {
    shape,
    record: encodeSince(
      since,
      all.slice(-PATTERNS_MAX).filter(({ lsn }) => lsn > since),
    ),
  }
}

/** How many stamps must leave if so many are added. */
function tooMany({ environment, stampsMax, stampBytesMax }: BatchOptions, added: number): number {
  const count = countOf(environment.stamps)
  const bytes = bytesOf(environment.stamps) + bytesOf(environment.stampOrder)
  // Pages empty slowly, so some more go.
  const byBytes = bytes > stampBytesMax ? added + Math.ceil(count / 16) : 0
  return Math.min(Math.max(count + added - stampsMax, byBytes), count + added)
}

function raise(sinces: Map<number, number>, shape: number, lsn: number): void {
  if (lsn > (sinces.get(shape) ?? 0)) sinces.set(shape, lsn)
}

function answer(state: L2Answer['state'], { m, shapesId }: Tide): L2Answer {
  return { state, m, shapesId: textOf(shapesId) }
}

/** Ids go to callers as text that can be printed. */
function textOf(id: string): string {
  return Buffer.from(id, 'latin1').toString('base64url')
}
