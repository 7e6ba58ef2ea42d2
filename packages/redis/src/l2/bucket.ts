import { randomBytes } from 'node:crypto'
import type { L2Ask, L2Batch, L2Fill, L2Keyed, L2Place, L2Read } from 'tidemark'
import { Batcher, type Load } from './batcher.js'
import type { Envelope, Sealed, Unsealable } from './envelope.js'
import { L2BucketsError } from './errors.js'
import type { Guard } from './guard.js'
import { type BucketKeys, bucketKeys } from './keys.js'
import type { MarkSlice } from './marks.js'
import type { Settings } from './options.js'
import { fillScript } from './scripts/fill.js'
import { invalidateScript } from './scripts/invalidate.js'
import { FillFlag, Leased, Outcome, Verdict } from './scripts/layout.js'
import { leaseScript, releaseScript } from './scripts/lease.js'
import { readScript } from './scripts/read.js'
import { removeScript } from './scripts/remove.js'
import type { Argument, RedisClient } from './scripts/script.js'
import { count, type RedisL2Counters, type RefusalReason } from './statistics.js'

export interface BucketParts {
  readonly settings: Settings
  readonly client: RedisClient
  readonly guard: Guard
  readonly envelope: Envelope
  readonly counters: RedisL2Counters
  readonly load: Load
}

export interface BucketAnswer {
  readonly state: 'applied' | 'behind' | 'shapes'
  readonly m: number
  readonly isReset?: boolean
}

interface Reading {
  readonly key: string
  readonly ask: L2Ask | undefined
}

interface Filling {
  readonly key: string
  readonly fill: L2Fill
  readonly sealed: Sealed
  /** Its wide stamps are used where there is no room for others. */
  readonly isWide: boolean
}

interface Releasing {
  readonly key: string
  readonly holder: string
}

type Filled = 'stored' | 'refused'

/** An answer of a script, texts as bytes. */
type Reply = [outcome: number, ...rest: unknown[]]
type Found = number | Buffer | [bytes: Buffer, isExpired: number, patterns: number[]]

/** What is told to all reads of a call. */
interface Told {
  readonly tide: L2Read['tide']
  /** Redis's clock, in ms. */
  readonly now: number
  readonly patterns: readonly string[]
}

/** Redis serves nobody else while a script runs. */
const READS_MAX = 32
const FILLS_MAX = 32
const RELEASES_MAX = 100
const REMOVALS_MAX = 500
/** So many shapes that there was no room for are remembered. */
const CROWDED_MAX = 10_000
const NOTHING: L2Read = { tide: undefined, entry: undefined }

const REFUSALS: Readonly<Record<number, RefusalReason>> = {
  [Verdict.void]: 'overtaken',
  [Verdict.newer]: 'newer',
  [Verdict.unknownShape]: 'overtaken',
  [Verdict.unwritable]: 'unwritable',
}

/** One part of L2: what lies under one hash tag, so that a script reaches all of it. */
export class Bucket {
  readonly #parts: BucketParts
  readonly #keys: BucketKeys
  readonly #reads: Batcher<Reading, L2Read>
  readonly #fills: Batcher<Filling, Filled>
  readonly #releases: Batcher<Releasing, undefined>
  /** Shapes that are likely to be registered, so that fills need not say what they are. */
  readonly #registered = new Set<string>()
  /** Shapes that there was no room for. */
  readonly #crowded = new Set<string>()
  /** The shapes that there were when Redis told them, and their id. */
  known: { readonly id: string; readonly shapes: readonly string[] } | undefined

  constructor(parts: BucketParts, index: number) {
    this.#parts = parts
    this.#keys = bucketKeys(parts.settings.name, index)
    this.#reads = new Batcher(READS_MAX, parts.load, (readings) => this.#readAll(readings))
    this.#fills = new Batcher(FILLS_MAX, parts.load, (fillings) => this.#fillAll(fillings))
    this.#releases = new Batcher(RELEASES_MAX, parts.load, (releasing) => this.#releaseAll(releasing))
  }

  read(key: string, ask?: L2Ask): Promise<L2Read> {
    this.#parts.counters.reads++
    return this.#reads.add({ key, ask })
  }

  /** What could not be read is undefined. */
  readAll(keys: readonly string[], ask?: L2Ask): Promise<(L2Read | undefined)[]> {
    this.#parts.counters.reads += keys.length
    return this.#reads.addAll(keys.map((key) => ({ key, ask })))
  }

  /** What could not be sent is undefined. */
  async fillAll(entries: readonly L2Keyed[]): Promise<(Filled | undefined)[]> {
    const outcomes: (Filled | Promise<Filled | undefined> | undefined)[] = new Array(entries.length)
    const fillings: Filling[] = []
    const places: number[] = []
    for (const [i, { key, fill }] of entries.entries()) {
      const sealed = this.#parts.envelope.seal(this.#widened(fill))
      if (typeof sealed === 'string') outcomes[i] = this.#refuse(sealed)
      else if (sealed instanceof Promise)
        outcomes[i] = sealed.then((each) => this.#store(key, fill, each, false)).catch(() => undefined)
      else {
        fillings.push({ key, fill, sealed, isWide: false })
        places.push(i)
      }
    }
    const filled = await this.#fills.addAll(fillings)
    for (let i = 0; i < places.length; i++) outcomes[places[i]!] = filled[i]
    return Promise.all(outcomes)
  }

  /** @param isWide it is tried again: there was no room for its shapes */
  fill(key: string, fill: L2Fill, isWide = false): Promise<Filled> {
    const sealed = this.#parts.envelope.seal(this.#widened(fill))
    return sealed instanceof Promise
      ? sealed.then((each) => this.#store(key, fill, each, isWide))
      : this.#store(key, fill, sealed, isWide)
  }

  #store(key: string, fill: L2Fill, sealed: Sealed | Unsealable, isWide: boolean): Promise<Filled> {
    if (typeof sealed === 'string') return Promise.resolve(this.#refuse(sealed))
    return this.#fills.add({ key, fill, sealed, isWide })
  }

  /** With the wide stamps for those whose shapes there was no room for. */
  #widened(fill: L2Fill): L2Fill {
    if (this.#crowded.size === 0) return fill
    const stamps = fill.stamps.map((stamp) => (this.#crowded.has(stamp.shape) ? (stamp.wide ?? stamp) : stamp))
    return { ...fill, stamps }
  }

  async lease(key: string, holder: string, ms: number): Promise<boolean> {
    const { settings, client, guard } = this.#parts
    const isHeld = await guard.call(settings.deadlineMs, false, () =>
      leaseScript.run(client, [this.#keys.lease(key)], [holder, Math.ceil(ms)]),
    )
    return isHeld === 1
  }

  release(key: string, holder: string): Promise<void> {
    return this.#releases.add({ key, holder })
  }

  /** Undefined where it stands in another epoch, or nowhere. */
  async remove(keys: readonly string[], { epoch, lsn }: L2Place): Promise<number | undefined> {
    const { settings, client } = this.#parts
    let sum = 0
    for (let from = 0; from < keys.length; from += REMOVALS_MAX) {
      const names = keys.slice(from, from + REMOVALS_MAX).map((key) => this.#keys.entry(key))
      const [outcome, removed] = await this.#run(settings.batchDeadlineMs, false, () =>
        removeScript.run(client, [this.#keys.state, this.#keys.stamps, ...names], [settings.buckets, epoch, lsn]),
      )
      if (outcome !== Outcome.done) return undefined
      sum += removed as number
    }
    return sum
  }

  /** @param shapes the id of the shapes that the marks were made for */
  async invalidate(
    batch: L2Batch,
    slices: readonly MarkSlice[],
    shapes: string,
    begun: { readonly generation: Buffer; readonly shapesId: Buffer },
  ): Promise<BucketAnswer> {
    const { settings } = this.#parts
    let answer: BucketAnswer = { state: 'applied', m: batch.end }
    for (const [i, slice] of slices.entries()) {
      const args: Argument[] = [
        settings.buckets,
        batch.epoch,
        batch.prev,
        batch.end,
        i === slices.length - 1 ? 1 : 0,
        batch.mayReset ? 1 : 0,
        Buffer.from(shapes, 'hex'),
        begun.generation,
        begun.shapesId,
        Math.ceil(settings.stampsMax / settings.buckets),
        slice.shapes.length / 2,
        slice.patterns.length / 3,
        slice.last,
        slice.lastExpiry,
        ...slice.shapes,
        ...slice.patterns,
        ...slice.dependencies,
      ]
      const reply = await this.#run(settings.batchDeadlineMs, true, () =>
        invalidateScript.run(this.#parts.client, [this.#keys.state, this.#keys.stamps], args),
      )
      answer = this.#answered(reply, begun.shapesId)
      // Where a new generation began, it stands at the end already.
      if (answer.state !== 'applied' || answer.isReset) break
    }
    return answer
  }

  #answered([outcome, m, id, ...texts]: Reply, begunShapesId: Buffer): BucketAnswer {
    if (outcome === Outcome.behind) return { state: 'behind', m: m as number }
    if (outcome === Outcome.shapes) {
      this.known = { id: (id as Buffer).toString('hex'), shapes: texts.map(String) }
      return { state: 'shapes', m: m as number }
    }
    const isReset = begunShapesId.equals(id as Buffer)
    if (isReset) {
      this.#parts.counters.resets++
      this.known = { id: begunShapesId.toString('hex'), shapes: [] }
      this.#crowded.clear()
    }
    return { state: 'applied', m: m as number, isReset }
  }

  /** One script call for all who ask alike: usually for all. */
  async #readAll(readings: readonly Reading[]): Promise<L2Read[]> {
    const ask = readings[0]!.ask
    if (readings.every((reading) => isSame(reading.ask, ask))) return this.#readAlike(readings, ask)
    const reads = readings.map((reading) => this.#readAlike([reading], reading.ask))
    return (await Promise.all(reads)).flat()
  }

  async #readAlike(readings: readonly Reading[], ask: L2Ask | undefined): Promise<L2Read[]> {
    const { settings, client } = this.#parts
    const names = readings.map(({ key }) => this.#keys.entry(key))
    const args = ask ? [settings.buckets, ask.holder, Math.ceil(ask.ms)] : [settings.buckets]
    const [outcome, m, epoch, now, patterns, ...found] = await this.#run(settings.deadlineMs, false, () =>
      readScript.run(client, [this.#keys.state, this.#keys.stamps, ...names], args),
    )
    if (outcome === Outcome.lost) return readings.map(() => NOTHING)
    const tide = { epoch: String(epoch), m: m as number }
    const told: Told = { tide, now: now as number, patterns: (patterns as Buffer[]).map(String) }
    const reads = (found as Found[]).map((each, i) => this.#open(told, each, names[i]!))
    return reads.some((read) => read instanceof Promise) ? Promise.all(reads) : (reads as L2Read[])
  }

  #open(told: Told, found: Found, name: string): L2Read | Promise<L2Read> {
    const { envelope, counters } = this.#parts
    const { tide } = told
    if (typeof found === 'number') {
      const isLeased = found >= Leased.held ? false : found >= Leased.given ? true : undefined
      const verdict = found % Leased.given
      if (verdict === Verdict.void) counters.stale++
      if (verdict === Verdict.unreadable) counters.unreadable++
      return isLeased === undefined ? { tide, entry: undefined } : { tide, entry: undefined, isLeased }
    }
    const entry = envelope.open(Buffer.isBuffer(found) ? found : found[0], told.now)
    return entry instanceof Promise
      ? entry.then((opened) => this.#opened(told, opened, name, found))
      : this.#opened(told, entry, name, found)
  }

  #opened({ tide, patterns }: Told, entry: L2Read['entry'], name: string, found: Exclude<Found, number>): L2Read {
    if (entry) this.#parts.counters.hits++
    else this.#delete(name)
    if (!entry || Buffer.isBuffer(found)) return { tide, entry }
    const [, isExpired, later] = found
    return {
      tide,
      entry,
      ...(isExpired === 1 && { isExpired: true }),
      ...(later.length > 0 && { patterns: later.map((number) => patterns[number - 1]!) }),
    }
  }

  /** A damaged entry would be read again and again. Nobody waits for it to go. */
  #delete(name: string): void {
    const { guard, settings, client, counters } = this.#parts
    counters.unreadable++
    guard
      .call(settings.deadlineMs, false, () => client.callBuffer('UNLINK', [name]))
      // It is counted; the next read finds the entry again.
      .catch(() => {})
  }

  /** One script call for all of one history and of one holder: usually for all. */
  async #fillAll(fillings: readonly Filling[]): Promise<(Filled | Promise<Filled>)[]> {
    const { epoch } = fillings[0]!.fill
    const holder = fillings.find(({ fill }) => fill.holder !== undefined)?.fill.holder
    if (fillings.every(({ fill }) => fill.epoch === epoch && (fill.holder ?? holder) === holder))
      return this.#fillAlike(fillings, epoch, holder)
    const fills = fillings.map((filling) => this.#fillAlike([filling], filling.fill.epoch, filling.fill.holder))
    return (await Promise.all(fills)).flat()
  }

  async #fillAlike(
    fillings: readonly Filling[],
    epoch: string,
    holder: string | undefined,
  ): Promise<(Filled | Promise<Filled>)[]> {
    const isKnown = fillings.every(({ sealed }) => sealed.shapes.every((shape) => this.#registered.has(shape)))
    let verdicts = await this.#send(fillings, epoch, holder, !isKnown)
    if (isKnown && verdicts?.includes(Verdict.unknownShape)) {
      this.#registered.clear()
      this.#crowded.clear()
      verdicts = await this.#send(fillings, epoch, holder, true)
    }
    return fillings.map(({ key, fill, sealed, isWide }, i) => {
      if (!verdicts) return this.#refuse('no-tidemark')
      const verdict = verdicts[i]!
      if (typeof verdict !== 'number') {
        if (isWide) return this.#refuse('too-many-shapes')
        this.#crowd(sealed, verdict)
        return this.fill(key, fill, true)
      }
      if (verdict !== Verdict.none) return this.#refuse(REFUSALS[verdict] ?? 'unwritable')
      if (this.#registered.size > this.#parts.settings.shapesMax) this.#registered.clear()
      for (const shape of sealed.shapes) this.#registered.add(shape)
      this.#parts.counters.stored++
      return 'stored'
    })
  }

  #crowd({ shapes }: Sealed, [, ...missing]: readonly number[]): void {
    if (this.#crowded.size > CROWDED_MAX) this.#crowded.clear()
    for (const number of missing) this.#crowded.add(shapes[number - 1]!)
  }

  /** @returns the verdicts; undefined if there is nothing to be stored in */
  async #send(
    fillings: readonly Filling[],
    epoch: string,
    holder: string | undefined,
    isDescribed: boolean,
  ): Promise<(number | number[])[] | undefined> {
    const { settings, client } = this.#parts
    const { deadlineMs, buckets, shapesMax } = settings
    const keys = [this.#keys.state, this.#keys.stamps]
    // Of each bucket: the same table may be in all of them.
    const args: Argument[] = [buckets, epoch, isDescribed ? randomBytes(8) : '', shapesMax, holder ?? '']
    for (const { key, fill, sealed, isWide } of fillings) {
      keys.push(this.#keys.entry(key))
      sealed.bytes[0] = (isWide ? FillFlag.wide : 0) + (fill.holder === undefined ? 0 : FillFlag.release)
      args.push(sealed.bytes)
    }
    if (isDescribed) for (const { sealed } of fillings) args.push(JSON.stringify(sealed.shapes))
    const [outcome, ...verdicts] = await this.#run(deadlineMs, false, () => fillScript.run(client, keys, args))
    return outcome === Outcome.lost ? undefined : (verdicts as (number | number[])[])
  }

  async #releaseAll(releasing: readonly Releasing[]): Promise<undefined[]> {
    const { settings, client, guard } = this.#parts
    const keys = releasing.map(({ key }) => this.#keys.lease(key))
    const holders = releasing.map(({ holder }) => holder)
    await guard.call(settings.deadlineMs, false, () => releaseScript.run(client, keys, holders))
    return releasing.map(() => undefined)
  }

  #refuse(reason: RefusalReason): 'refused' {
    count(this.#parts.counters.refused, reason)
    return 'refused'
  }

  /** @throws L2DownError (`TIDEMARK_L2_DOWN`), L2BucketsError (`TIDEMARK_L2_BUCKETS`) */
  async #run(deadlineMs: number, isUrgent: boolean, send: () => Promise<unknown>): Promise<Reply> {
    const reply = (await this.#parts.guard.call(deadlineMs, isUrgent, send)) as Reply
    if (reply[0] !== Outcome.buckets) return reply
    const { name, buckets } = this.#parts.settings
    throw new L2BucketsError(
      `The L2 "${name}" in Redis was made with ${String(reply[1])} buckets, and this process has ${buckets}. ` +
        'Give all processes the same `buckets`, or another `name`.',
    )
  }
}

function isSame(one: L2Ask | undefined, other: L2Ask | undefined): boolean {
  return one === other || (one?.holder === other?.holder && one?.ms === other?.ms)
}
