import { randomBytes } from 'node:crypto'
import type { L2, L2Answer, L2Ask, L2Batch, L2Fill, L2Keyed, L2Place, L2Read } from 'tidemark'
import { Bucket, type BucketAnswer } from './bucket.js'
import { Connection } from './connection.js'
import { Envelope } from './envelope.js'
import { L2DownError } from './errors.js'
import { Guard } from './guard.js'
import { bucketOf } from './keys.js'
import { encodeMarks } from './marks.js'
import { type RedisL2Options, settingsOf } from './options.js'
import { count, counters, type RedisL2Counters } from './statistics.js'

/** An L2 in Redis, and what it tells of itself. */
export interface RedisL2 extends L2 {
  status(): RedisL2Status
}

export interface RedisL2Status {
  /** `ready`; `paused` after failures; `disconnected` while the client has no connection. */
  readonly state: 'ready' | 'paused' | 'disconnected'
  readonly counters: Readonly<RedisL2Counters>
}

/** So many calls may wait for Redis; what is beyond is a miss. */
const WAITING_MAX = 10_000
const PAUSE_MS = 500
const PAUSE_MAX_MS = 10_000
const NO_SHAPES = '-'

/**
 * The tier that processes share, in Redis 6.2 or later, or Valkey: alone, behind Sentinel, or as a Cluster.
 *
 * Returns at once and never waits for Redis: while it can't be reached, or is slow, calls reject within their deadline, and the cache
 * goes on without it.
 *
 * @throws OptionError (`TIDEMARK_OPTION`) if an option is missing or out of its range
 */
export function redisL2(options: RedisL2Options): RedisL2 {
  return new RedisTier(options)
}

class RedisTier implements RedisL2 {
  readonly #connection: Connection
  readonly #guard: Guard
  readonly #envelope: Envelope
  readonly #buckets: readonly Bucket[]
  readonly #counters = counters()
  readonly #load = { waiting: 0 }

  constructor(options: RedisL2Options) {
    const settings = settingsOf(options)
    this.#connection = new Connection(options, Math.max(settings.deadlineMs, settings.batchDeadlineMs))
    this.#envelope = new Envelope({
      serializer: settings.serializer,
      compressAbove: settings.compressAbove,
      bytesMax: settings.entryBytesMax,
      keepMaxMs: settings.keepMaxMs,
    })
    this.#guard = new Guard({
      clock: settings.clock,
      failuresMax: settings.failuresMax,
      pauseMs: PAUSE_MS,
      pauseMaxMs: PAUSE_MAX_MS,
      isReady: () => this.#connection.isReady,
      failed: (reason) => count(this.#counters.failures, reason),
    })
    const parts = {
      settings,
      client: this.#connection.client,
      guard: this.#guard,
      envelope: this.#envelope,
      counters: this.#counters,
      load: this.#load,
    }
    this.#buckets = Array.from({ length: settings.buckets }, (_, index) => new Bucket(parts, index))
  }

  read(key: string, ask?: L2Ask): Promise<L2Read> {
    const refusal = this.#refusal()
    return refusal ? Promise.reject(refusal) : this.#bucketOf(key).read(key, ask)
  }

  fill(key: string, fill: L2Fill): Promise<'stored' | 'refused'> {
    const refusal = this.#refusal()
    return refusal ? Promise.reject(refusal) : this.#bucketOf(key).fill(key, fill)
  }

  readAll(keys: readonly string[], ask?: L2Ask): Promise<(L2Read | undefined)[]> {
    return this.#inBuckets(
      keys,
      (key) => key,
      (bucket, some) => bucket.readAll(some, ask),
    )
  }

  fillAll(entries: readonly L2Keyed[]): Promise<('stored' | 'refused' | undefined)[]> {
    return this.#inBuckets(
      entries,
      ({ key }) => key,
      (bucket, some) => bucket.fillAll(some),
    )
  }

  /** Asks each bucket for its own, and puts the answers in the order of the items. */
  async #inBuckets<Item, Answer>(
    items: readonly Item[],
    keyOf: (item: Item) => string,
    ask: (bucket: Bucket, items: readonly Item[]) => Promise<(Answer | undefined)[]>,
  ): Promise<(Answer | undefined)[]> {
    const refusal = this.#refusal()
    if (refusal) throw refusal
    const [only, ...others] = this.#buckets
    if (others.length === 0) return ask(only!, items)
    const all: (Answer | undefined)[] = new Array(items.length)
    const asked = [...this.#placesOf(items.map(keyOf))].map(async ([bucket, mine]) => {
      const answers = await ask(
        bucket,
        mine.map((i) => items[i]!),
      )
      for (const [j, i] of mine.entries()) all[i] = answers[j]
    })
    await Promise.all(asked)
    return all
  }

  /** By bucket, which of the keys are its own. */
  #placesOf(keys: readonly string[]): Map<Bucket, number[]> {
    const places = new Map<Bucket, number[]>()
    for (const [i, key] of keys.entries()) {
      const bucket = this.#bucketOf(key)
      const known = places.get(bucket)
      if (known) known.push(i)
      else places.set(bucket, [i])
    }
    return places
  }

  async invalidate(batch: L2Batch): Promise<L2Answer> {
    const marks = encodeMarks(batch.marks)
    const ids = batch.shapes?.split('.') ?? []
    const begun = { generation: randomBytes(8), shapesId: randomBytes(8) }
    const answers = await Promise.all(
      this.#buckets.map((bucket, i) => bucket.invalidate(batch, marks, ids[i] ?? NO_SHAPES, begun)),
    )
    return this.#together(answers)
  }

  lease(key: string, holder: string, ms: number): Promise<boolean> {
    return this.#bounded(() => this.#bucketOf(key).lease(key, holder, ms))
  }

  release(key: string, holder: string): Promise<void> {
    const refusal = this.#refusal()
    return refusal ? Promise.reject(refusal) : this.#bucketOf(key).release(key, holder)
  }

  remove(keys: readonly string[], before: L2Place): Promise<number | undefined> {
    return this.#bounded(async () => {
      const removing = [...this.#placesOf(keys)].map(([bucket, mine]) => {
        return bucket.remove(
          mine.map((i) => keys[i]!),
          before,
        )
      })
      const removed = await Promise.all(removing)
      return removed.includes(undefined) ? undefined : removed.reduce<number>((sum, each) => sum + each!, 0)
    })
  }

  async close(): Promise<void> {
    this.#connection.close()
  }

  status(): RedisL2Status {
    const state = this.#guard.isPaused ? 'paused' : this.#connection.isReady ? 'ready' : 'disconnected'
    return { state, counters: this.#counters }
  }

  #bucketOf(key: string): Bucket {
    return this.#buckets[bucketOf(key, this.#buckets.length)]!
  }

  /**
   * One answer of many: it is applied if each bucket has applied it. A batch that some of them must be told once more has no effect
   * on the others.
   */
  #together(answers: readonly BucketAnswer[]): L2Answer {
    const isAny = (state: BucketAnswer['state']): boolean => answers.some((answer) => answer.state === state)
    const state = isAny('behind') ? 'behind' : isAny('shapes') ? 'shapes' : 'applied'
    if (state === 'applied') this.#counters.batches++
    const answer = {
      state,
      m: Math.min(...answers.map(({ m }) => m)),
      // Where the shapes of a bucket are not known here, marks must not be taken for made for them: it is asked by a wrong id.
      shapesId: this.#buckets.map(({ known }) => known?.id ?? NO_SHAPES).join('.'),
    } as const
    if (state !== 'shapes') return answer
    return { ...answer, shapes: [...new Set(this.#buckets.flatMap(({ known }) => known?.shapes ?? []))] }
  }

  async #bounded<Answer>(run: () => Promise<Answer>): Promise<Answer> {
    const refusal = this.#refusal()
    if (refusal) throw refusal
    this.#load.waiting++
    try {
      return await run()
    } finally {
      this.#load.waiting--
    }
  }

  /** Why nothing may be asked now; counted. */
  #refusal(): L2DownError | undefined {
    const refusal = this.#guard.refusal() ?? (this.#load.waiting >= WAITING_MAX ? BUSY : undefined)
    if (refusal) count(this.#counters.failures, refusal.reason)
    return refusal
  }
}

const BUSY = new L2DownError('busy', `More than ${WAITING_MAX} calls wait for Redis. Reads go on without it.`)
