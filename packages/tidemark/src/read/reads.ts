import { onAbort, openAbort } from '../abort.js'
import type { Answer } from '../answer.js'
import type { CallOptions } from '../definition.js'
import { BehindError, ClosedError, CycleError } from '../errors.js'
import { Line } from '../line.js'
import { parsePosition } from '../log/position.js'
import type { SlotKey } from '../tiers/space.js'
import { Answers } from './answers.js'
import { currentFill } from './current.js'
import { waitsFor } from './cycle.js'
import type { Fill } from './fill.js'
import { Flight } from './flight.js'
import { type Floor, reachFloor, strictest } from './floor.js'
import { mayServe } from './grace.js'
import type { Keeper } from './keep.js'
import type { Keyspace } from './keyspace.js'
import { type Form, inFull, type ManyWanted, readMany, valuesOnly } from './many.js'
import { isMissing, readMissing } from './missing.js'
import { type Landed, NestedReader, Reader } from './reader.js'
import type { Request } from './request.js'
import { askShown } from './shown.js'
import { deadline, either } from './wait.js'

/** A flight, and whether it flew before. */
class Boarded {
  readonly flight: Flight
  readonly isJoined: boolean

  constructor(flight: Flight, isJoined: boolean) {
    this.flight = flight
    this.isJoined = isJoined
  }
}

export interface ReadLimits {
  readonly waitMaxMs: number
  readonly proofWaitMs: number
}

/** Promised already: what comes of it runs when the code of now has ended. */
const NOW = Promise.resolve()

/** A read, in order: L1, grace, the flight. */
export class Reads {
  readonly #keeper: Keeper
  readonly #limits: ReadLimits
  readonly #answers: Answers
  readonly #valuesOnly: Form<unknown>
  readonly #inFull: Form<Answer<unknown>>
  readonly flights = new Line<Flight>()
  readonly #idle = new Set<() => void>()
  readonly #closing = openAbort()

  constructor(keeper: Keeper, limits: ReadLimits) {
    this.#keeper = keeper
    this.#limits = limits
    this.#answers = new Answers(keeper)
    this.#valuesOnly = valuesOnly(keeper)
    this.#inFull = inFull(this.#answers)
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /** How long a reader waits for a change to become visible at the source. */
  get proofWaitMs(): number {
    return this.#limits.proofWaitMs
  }

  /** The values of many keys, in their order. */
  values(wanted: ManyWanted): Promise<unknown[]> {
    return readMany(this, this.#keeper, wanted, this.#valuesOnly)
  }

  answers(wanted: ManyWanted): Promise<Answer<unknown>[]> {
    return readMany(this, this.#keeper, wanted, this.#inFull)
  }

  /** The slot of a fresh entry that may be served now, or -1. Synchronous; allocates nothing. */
  fresh(space: Keyspace, key: SlotKey): number {
    const slot = this.#keeper.l1.find(space, key)
    if (slot === undefined) return -1
    const now = this.#keeper.clock.now()
    return this.#keeper.l1.isFreshAt(slot, now) && this.#keeper.isTrusted(now) ? slot : -1
  }

  /** The slot of a hit of a call that carries no position, counted; -1 if L1 can't answer. */
  hitSlot(request: Request): number {
    const reader = currentFill()
    const slot = reader?.floor?.isFromSource ? -1 : this.fresh(request.space, request.key)
    if (slot < 0) return -1
    this.#keeper.counters.hits++
    if (reader) this.#answers.inheritStored(reader, request.space, request.key, slot, undefined)
    this.refreshEarly(request, slot)
    return slot
  }

  hit(request: Request): Answer<unknown> | undefined {
    const slot = this.hitSlot(request)
    return slot < 0 ? undefined : this.#answers.stored(slot, 'fresh')
  }

  peek(space: Keyspace, key: SlotKey): unknown {
    const reader = currentFill()
    const slot = reader?.floor?.isFromSource ? -1 : this.fresh(space, key)
    if (slot < 0) {
      // No change would tell the outer entry when this finds something.
      reader?.unkept('peeked')
      return undefined
    }
    this.#keeper.counters.hits++
    if (reader) this.#answers.inheritStored(reader, space, key, slot, undefined)
    return this.#keeper.l1.read(slot)
  }

  /** The whole read. `proofWaitMs` is Infinity for watches; `given` is what the call's position was found to mean, if it was. */
  ask(request: Request, proofWaitMs = this.#limits.proofWaitMs, given?: Floor): Promise<Answer<unknown>> {
    const outer = currentFill()
    if (!given && isMissing(request, outer))
      return readMissing(this, this.#keeper, request, outer, proofWaitMs, this.#inFull)
    if (!request.call?.shows) return this.#ask(request, proofWaitMs, given)
    const ask = (): Promise<Answer<unknown>> => this.#ask(request, proofWaitMs, given)
    return this.#asking(request.space, () => askShown(ask, request, this.#keeper))
  }

  value(request: Request): Promise<unknown> {
    const outer = currentFill()
    return isMissing(request, outer)
      ? readMissing(this, this.#keeper, request, outer, this.#limits.proofWaitMs, this.#valuesOnly)
      : this.ask(request).then(this.#valuesOnly.answered)
  }

  /** Hands what a flight has landed with to the entry whose loader asked. */
  inherit(reader: Fill, request: Request, landed: Landed): void {
    this.#answers.inheritLanded(reader, request, landed, landed.state === 'fresh' ? undefined : landed.state)
  }

  /** L2 had what only expired: it is served while the flight goes on. */
  async expired(request: Request, reader?: Fill): Promise<Answer<unknown>> {
    // Undefined: it was dropped meanwhile.
    return (
      (await this.#whileRefilling(request, reader)) ?? this.#ask(request, this.#limits.proofWaitMs, undefined, reader)
    )
  }

  async #asking<Result>(space: Keyspace, ask: () => Promise<Result>): Promise<Result> {
    space.asking++
    try {
      return await ask()
    } finally {
      space.asking--
    }
  }

  /** One function, and few promises: each costs more while loaders run, as what they read is gathered along promises. */
  async #ask(
    request: Request,
    proofWaitMs: number,
    given: Floor | undefined,
    reader = currentFill(),
  ): Promise<Answer<unknown>> {
    const { space, key, call } = request
    let isGraceful = false
    space.asking++
    try {
      this.mustBeOpen()
      call?.signal?.throwIfAborted()
      const own = given ?? (call?.minPosition === undefined ? undefined : await this.floorOf(request, call))
      const floor = reader?.floor ? strictest([own, reader.floor]) : own
      if (!floor?.isFromSource) {
        const slot = this.fresh(space, key)
        if (slot >= 0) {
          this.#keeper.counters.hits++
          if (reader) this.#answers.inheritStored(reader, space, key, slot, undefined)
          this.refreshEarly(request, slot)
          return this.#answers.stored(slot, 'fresh')
        }
      }
      this.#keeper.counters.misses++
      // A read that carries a position takes nothing that expired: it asked for something newer.
      const mayBeOld = floor === undefined && proofWaitMs !== Number.POSITIVE_INFINITY
      if (mayBeOld && mayServe(this.#keeper, space, key, request.policy.graceRefillMs, false)) {
        const answer = await this.#whileRefilling(request, reader)
        if (answer) return answer
      }
      isGraceful = mayBeOld
      const { flight, isJoined } = this.flightFor(request, reader)
      const landed = await this.#join(flight, reader, floor, proofWaitMs, isGraceful, call?.signal)
      if (landed !== 'expired')
        return this.#answers.given(this.#answers.landed(landed, isJoined, floor), landed, request, reader)
      const answer = await this.#whileRefilling(request, reader)
      // Undefined: it was dropped meanwhile.
      return answer ?? (await this.#ask(request, proofWaitMs, given, reader))
    } catch (error) {
      const stale = isGraceful ? this.staleAfter(request, error, reader) : undefined
      if (stale) return stale
      throw error
    } finally {
      space.asking--
    }
  }

  /** What grace gives a reader whose load has failed. */
  staleAfter(request: Request, error: unknown, reader: Fill | undefined): Answer<unknown> | undefined {
    const { space, key, policy, call } = request
    const isOurs =
      error instanceof CycleError ||
      error instanceof ClosedError ||
      error instanceof BehindError ||
      call?.signal?.aborted
    if (isOurs || !mayServe(this.#keeper, space, key, policy.graceFailureMs, true)) return undefined
    return this.#given(request, reader, 'stale')
  }

  /** Resolves when no fill runs. */
  async idle(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.flights.size === 0) return
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        this.#idle.delete(done)
        reject(signal?.reason)
      }
      const done = (): void => {
        unlisten()
        resolve()
      }
      const unlisten = onAbort(signal, abort)
      this.#idle.add(done)
    })
  }

  close(): void {
    this.#closing.abort(new ClosedError('The cache was closed. Create a new one, or stop reading before close().'))
    const reason = new ClosedError('The cache was closed while this value was being loaded.')
    for (const flight of [...this.flights]) flight.cancel(reason)
  }

  /** A hit late in its life starts the next fill behind the reader's back. */
  refreshEarly(request: Request, slot: number): void {
    const { earlyRefresh } = request.policy
    if (earlyRefresh === 0) return
    const { l1, clock } = this.#keeper
    const filledAt = l1.filledAtOf(slot)
    const lifetimeMs = l1.expiresAtOf(slot) - filledAt
    if (clock.now() - filledAt >= lifetimeMs * earlyRefresh) this.#flightOf(request).flight.want()
  }

  /**
   * The refill's value if it comes within the soft timeout, else the stale one; undefined if that was dropped meanwhile. Whose loader asks takes
   * over at once what it is given: when it goes on, the stale entry may be gone, and what it was.
   */
  async #whileRefilling(request: Request, reader: Fill | undefined): Promise<Answer<unknown> | undefined> {
    const { space, key, policy } = request
    if (this.fresh(space, key) >= 0) return this.#given(request, reader, 'fresh')
    const { flight, isJoined } = this.#flightOf(request)
    flight.want()
    // A loader that reads its own stale value would wait for itself.
    if (policy.softTimeoutMs > 0 && !(reader && waitsFor(flight, reader.loading))) {
      const signal = either(request.call?.signal, reader?.signal)
      const bound = deadline(this.#keeper.clock, policy.softTimeoutMs, signal)
      const { proofWaitMs } = this.#limits
      const landed = await this.#join(flight, reader, undefined, proofWaitMs, false, bound.signal).catch(
        () => undefined,
      )
      bound.cancel()
      signal?.throwIfAborted()
      if (landed && landed !== 'expired' && landed.state === 'fresh')
        return this.#answers.given(this.#answers.landed(landed, isJoined, undefined), landed, request, reader)
    }
    if (this.#keeper.l1.find(space, key) === undefined) return undefined
    return this.#given(request, reader, this.fresh(space, key) >= 0 ? 'fresh' : 'stale')
  }

  /** What L1 holds. */
  #given(request: Request, reader: Fill | undefined, state: 'fresh' | 'stale'): Answer<unknown> {
    const slot = request.space.slots.get(request.key)!
    return this.#answers.given(this.#answers.stored(slot, state), undefined, request, reader)
  }

  /** @throws CycleError (`TIDEMARK_CYCLE`) */
  flightFor(request: Request, reader: Fill | undefined): Boarded {
    const running = request.space.flights.get(request.key)
    const outer = reader?.loading
    if (running && outer && waitsFor(running, outer)) {
      throw new CycleError(
        `The loader of ${outer.text} reads ${request.space.text(request.key)}, which waits for it. Break the cycle: one of them must load what it needs itself.`,
      )
    }
    const found = this.#flightOf(request)
    if (found.isJoined) this.#keeper.counters.joined++
    return found
  }

  #flightOf(request: Request): Boarded {
    const running = request.space.flights.get(request.key)
    if (running) return new Boarded(running, true)
    this.mustBeOpen()
    const flight = new Flight(this.#keeper, request, this.#flightEnded)
    this.flights.add(flight)
    if (request.batch) request.batch.add(flight, request.args[0])
    // A flight starts after its first reader has joined: its loader may end in the same turn.
    else void NOW.then(() => flight.fly())
    return new Boarded(flight, false)
  }

  /** Waits for the flight; who waits is seen by those who look for cycles. */
  #join(
    flight: Flight,
    reader: Fill | undefined,
    floor: Floor | undefined,
    proofWaitMs: number,
    isGraceful: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Landed | 'expired'> {
    const { follower } = this.#keeper
    return new Promise((resolve, reject) => {
      const outer = reader?.loading
      if (signal || outer)
        new NestedReader(follower, floor, proofWaitMs, isGraceful, resolve, reject).join(flight, outer, signal)
      else flight.join(new Reader(follower, floor, proofWaitMs, isGraceful, resolve, reject))
    })
  }

  readonly #flightEnded = (flight: Flight): void => {
    this.flights.delete(flight)
    if (this.flights.size > 0) return
    for (const done of this.#idle) done()
    this.#idle.clear()
  }

  /** What a call that carries a position may take. @throws BehindError, PositionError */
  floor(call: CallOptions, isHeld: () => boolean): Promise<Floor> {
    return reachFloor({
      position: call.minPosition!,
      call,
      limits: this.#limits,
      keeper: this.#keeper,
      closing: this.#closing.signal,
      isHeld,
    })
  }

  /** The same, for a read of one key. */
  floorOf({ space, key }: Request, call: CallOptions): Promise<Floor> {
    return this.floor(call, () => this.fresh(space, key) >= 0)
  }

  /** Whether this process has applied the position. */
  hasReached(text: string): boolean {
    const { follower } = this.#keeper
    const { epoch, lsn } = parsePosition(text)
    return follower.isFollowing && follower.tidemark >= lsn && (epoch === undefined || epoch === follower.epoch)
  }

  mustBeOpen(): void {
    this.#closing.signal.throwIfAborted()
  }
}
