import { openAbort } from '../abort.js'
import { BatchAnswerError, type LoaderTimeoutError, OptionError } from '../errors.js'
import type { Follower } from '../follow/follower.js'
import type { SharedTier } from '../l2/shared-tier.js'
import { Line } from '../line.js'
import type { Policy } from '../options.js'
import { Slices } from '../slices.js'
import { Fill } from './fill.js'
import type { AnyLoader, Flight } from './flight.js'
import { type Floor, strictest } from './floor.js'
import type { Keeper } from './keep.js'
import type { Keyspace } from './keyspace.js'
import type { Loading } from './loading.js'
import { type NestedReader, unwanted } from './reader.js'
import { Run, type Runner } from './run.js'

export type AnyManyLoader = (context: never, asked: readonly never[]) => unknown

/** How keys of one keyspace are loaded together. */
export interface Together {
  readonly keeper: Keeper
  readonly space: Keyspace
  readonly policy: Policy
  readonly loadMany: AnyManyLoader
}

/** Gathers the flights of a call that begin in one turn: each turn's are one batch. */
export class Batches {
  readonly #together: Together
  /** Whose text tells versions apart in the tier that processes share; undefined: the loader of one key. */
  readonly named: object | undefined
  #next: Batch | undefined

  constructor(together: Together, named?: object) {
    this.#together = together
    this.named = named
  }

  add(flight: Flight, asked: unknown): void {
    if (!this.#next) {
      const batch = new Batch(this.#together)
      this.#next = batch
      queueMicrotask(() => {
        this.#next = undefined
        void batch.fly()
      })
    }
    this.#next.add(flight, asked)
  }
}

/**
 * The fills of many keys by one run of a loader. Each key keeps its own flight, readers, lease and verdict of the fence: what differs is
 * that the tier that processes share is asked for all at once, and that all have begun, and read, what the one run did.
 */
export class Batch implements Loading, Runner {
  readonly follower: Follower
  readonly space: Keyspace
  readonly reads = new Line<NestedReader>()
  readonly batch = undefined
  readonly #together: Together
  #members: Flight[] = []
  #asked: unknown[] = []
  /** Members that are part of it, and those of them for whom nobody waits. */
  #live = 0
  #idle = 0
  #abort: AbortController | undefined
  #stopped: { readonly reason: unknown } | undefined
  #running: Run | undefined
  #own: OwnFills | undefined
  /** The loader has ended, or is not to run any more. */
  #hasEnded = false

  constructor(together: Together) {
    this.#together = together
    this.follower = together.keeper.follower
    this.space = together.space
  }

  get text(): string {
    const [first] = this.#members
    const others = this.#members.length - 1
    return others === 0 ? first!.text : `${first!.text} and ${others} more`
  }

  /** Aborted when nobody waits for any of them any more, or the load takes too long. */
  get signal(): AbortSignal {
    this.#abort ??= openAbort()
    if (this.#stopped && !this.#abort.signal.aborted) this.#abort.abort(this.#stopped.reason)
    return this.#abort.signal
  }

  notice(code: string, message: string): void {
    this.#together.keeper.noticeOnce(code, this.space, message)
  }

  add(flight: Flight, asked: unknown): void {
    this.#members.push(flight)
    this.#asked.push(asked)
    this.#live++
    flight.takePart(this)
  }

  /** One of them has ended, or goes on by itself. */
  left(wasIdle: boolean): void {
    this.#live--
    if (wasIdle) this.#idle--
    this.#giveUpIdle()
  }

  /** Nobody waits for one of them any more. */
  idled(): void {
    this.#idle++
    this.#giveUpIdle()
  }

  woke(): void {
    this.#idle--
  }

  /** Once the loader has ended, what nobody waits for is kept all the same. */
  #giveUpIdle(): void {
    if (this.#hasEnded || this.#idle < this.#live) return
    this.#hasEnded = true
    const reason = unwanted()
    for (const flight of this.#members) if (flight.batch === this) flight.cancel(reason)
    this.#stop(reason)
  }

  async fly(): Promise<void> {
    const { shared } = this.#together.keeper
    if (shared) await this.#askShared(shared)
    this.#leaveOut((flight) => !flight.isFlying)
    if (this.#members.length > 0) this.#load()
  }

  async #askShared(tier: SharedTier): Promise<void> {
    const asking = this.#members.filter((flight) => !flight.floor?.isFromSource)
    const found = await tier.findAll(asking.map(({ sharedName, space, key }) => ({ name: sharedName!, space, key })))
    const elsewhere = new Set<Flight>()
    for (const [i, flight] of asking.entries()) {
      if (flight.found(found[i]!) !== 'held') continue
      elsewhere.add(flight)
      void flight.wait(tier)
    }
    if (elsewhere.size > 0) this.#leaveOut((flight) => elsewhere.has(flight))
  }

  #leaveOut(isOut: (flight: Flight) => boolean): void {
    const isIn = this.#members.map((flight) => !isOut(flight))
    this.#members = this.#members.filter((_, i) => isIn[i])
    this.#asked = this.#asked.filter((_, i) => isIn[i])
  }

  #load(): void {
    const { keeper, policy } = this.#together
    const { clock, counters } = keeper
    const floors: (Floor | undefined)[] = this.#members.map((flight) => flight.floor)
    const running = this.follower.begin(policy.sourceLagMs)
    const fill = new Fill(this, strictest(floors), running, clock.now(), counters)
    fill.tag(policy.tags)
    this.#own = new OwnFills(this.#asked, fill, keeper)
    counters.loads += this.#members.length
    this.#running = new Run(this, fill, clock, policy.hardTimeoutMs)
  }

  runLoader(fill: Fill): unknown {
    const { keeper, loadMany } = this.#together
    const context = Object.assign(keeper.context(fill), { of: (asked: unknown) => this.#own!.contextOf(asked) })
    return loadMany(context as never, this.#asked as never[])
  }

  timedOut(reason: LoaderTimeoutError): void {
    this.#stop(reason)
  }

  loaded(fill: Fill, answer: unknown): void {
    this.#hasEnded = true
    void this.#land(fill, answer)
  }

  failedToLoad(fill: Fill, error: unknown): void {
    this.#hasEnded = true
    this.#fail(error)
    this.follower.ended(fill.running)
  }

  #fail(error: unknown): void {
    for (const [i, flight] of this.#members.entries()) {
      const mine = this.#own!.end(i)
      if (flight.isFlying && flight.failed(mine, error)) void flight.loadAgain([], mine)
    }
  }

  /** In slices: who waits for a few keys need not wait for thousands to be stored. */
  async #land(fill: Fill, answer: unknown): Promise<void> {
    const slices = new Slices(this.#together.keeper.clock, undefined)
    try {
      const values = valuesOf(answer, this.#asked, () => this.text)
      for (const [i, flight] of this.#members.entries()) {
        const mine = this.#own!.end(i)
        if (flight.isFlying) {
          const again = flight.land(mine, values[i])
          if (flight.isFlying) void flight.loadAgain(again, mine)
        }
        if (slices.isOver) await slices.next()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.follower.ended(fill.running)
    }
  }

  #stop(reason: unknown): void {
    this.#stopped ??= { reason }
    this.#abort?.abort(reason)
    for (const read of [...this.reads]) read.stop(reason)
    this.#running?.stop(reason)
  }
}

/** What the loader said of single keys: a fill of their own, beside what all have read. Most loaders say nothing. */
class OwnFills {
  readonly #asked: readonly unknown[]
  readonly #all: Fill
  readonly #keeper: Keeper
  #numbers: Map<unknown, number> | undefined
  readonly #fills = new Map<number, { readonly fill: Fill; readonly context: object }>()

  constructor(asked: readonly unknown[], all: Fill, keeper: Keeper) {
    this.#asked = asked
    this.#all = all
    this.#keeper = keeper
  }

  /** @throws OptionError (`TIDEMARK_OPTION`) */
  contextOf(asked: unknown): object {
    this.#numbers ??= new Map(this.#asked.map((each, i) => [each, i]))
    const number = this.#numbers.get(asked)
    if (number === undefined)
      throw new OptionError('of() takes one of the keys that this run of the loader was asked for, as it got them.')
    let own = this.#fills.get(number)
    if (!own) {
      const { loading, floor, running, startedAt } = this.#all
      const fill = new Fill(loading, floor, running, startedAt, this.#keeper.counters)
      fill.isEnded = this.#all.isEnded
      own = { fill, context: this.#keeper.context(fill) }
      this.#fills.set(number, own)
    }
    return own.context
  }

  /** The load has ended: what the key was computed from. */
  end(number: number): Fill {
    const own = this.#fills.get(number)?.fill
    if (!own) return this.#all
    own.join(this.#all)
    own.isEnded = true
    return own
  }
}

/** A loader of many keys, for one of them. */
export function alone(loadMany: AnyManyLoader): AnyLoader {
  return async (context: object, asked: unknown) => {
    const all = Object.assign(context, { of: () => context })
    return valuesOf(await loadMany(all as never, [asked] as never[]), [asked], () => 'one key')[0]
  }
}

/** @throws BatchAnswerError (`TIDEMARK_BATCH_ANSWER`) */
function valuesOf(answer: unknown, asked: readonly unknown[], text: () => string): readonly unknown[] {
  if (Array.isArray(answer)) {
    if (answer.length === asked.length) return answer
    throw new BatchAnswerError(
      `The loader of ${text()} was asked for ${asked.length} keys and returned an array of ${answer.length}. Return one value for each, in their order, or a Map.`,
    )
  }
  if (!(answer instanceof Map)) {
    throw new BatchAnswerError(
      `The loader of ${text()} returned neither an array nor a Map. Return an array with one value for each key, in their order, or a Map from key to value.`,
    )
  }
  let known = 0
  const values = asked.map((each) => {
    if (answer.has(each)) known++
    return answer.get(each)
  })
  if (known === answer.size) return values
  throw new BatchAnswerError(
    `The loader of ${text()} returned a Map with ${answer.size - known} keys that it was not asked for. Use the keys as the loader gets them: 7 is not '7'.`,
  )
}
