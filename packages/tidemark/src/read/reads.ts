import { setMaxListeners } from 'node:events'
import { onAbort } from '../abort.js'
import type { Answer } from '../answer.js'
import type { CallOptions } from '../definition.js'
import { BehindError, ClosedError, CycleError } from '../errors.js'
import { parsePosition } from '../log/position.js'
import type { Policy } from '../options.js'
import type { SlotKey } from '../tiers/space.js'
import { copyOf } from '../values.js'
import { currentFill } from './current.js'
import { waitsFor } from './cycle.js'
import type { Fill } from './fill.js'
import { type AnyLoader, Flight } from './flight.js'
import { type Floor, reachFloor, strictest } from './floor.js'
import { mayServe } from './grace.js'
import type { Keeper } from './keep.js'
import type { Keyspace } from './keyspace.js'
import type { Landed } from './reader.js'
import { askShown } from './shown.js'
import { deadline, either } from './wait.js'

/** What is asked for: the same whichever way it is asked. */
export interface Request {
  readonly space: Keyspace
  readonly key: SlotKey
  readonly load: AnyLoader
  readonly args: readonly unknown[]
  readonly policy: Policy
  readonly call: CallOptions | undefined
}

export interface ReadLimits {
  readonly waitMaxMs: number
  readonly proofWaitMs: number
}

/** A read, in order: L1, grace, the flight. */
export class Reads {
  readonly #keeper: Keeper
  readonly #limits: ReadLimits
  readonly flights = new Set<Flight>()
  readonly #idle = new Set<() => void>()
  readonly #closing = new AbortController()

  constructor(keeper: Keeper, limits: ReadLimits) {
    // As many listen as reads wait for a position: Node would warn of a leak from the eleventh on.
    setMaxListeners(0, this.#closing.signal)
    this.#keeper = keeper
    this.#limits = limits
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /** The slot of a fresh entry that may be served now, or -1. Synchronous; allocates nothing. */
  fresh(space: Keyspace, key: SlotKey): number {
    const slot = this.#keeper.l1.find(space, key)
    if (slot === undefined) return -1
    const now = this.#keeper.clock.now()
    return this.#keeper.l1.isFreshAt(slot, now) && this.#keeper.isTrusted(now) ? slot : -1
  }

  /** The value for a caller outside of loaders, without a promise inside: undefined if L1 can't answer. */
  hit(request: Request): Answer<unknown> | undefined {
    const slot = this.fresh(request.space, request.key)
    if (slot < 0) return undefined
    this.#keeper.counters.hits++
    this.refreshEarly(request, slot)
    return this.#stored(slot, 'fresh')
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
    if (reader) this.#inheritStored(reader, space, key, slot, undefined)
    return this.#keeper.l1.read(slot)
  }

  /** The whole read. `proofWaitMs` is Infinity for watches. */
  ask(request: Request, proofWaitMs = this.#limits.proofWaitMs): Promise<Answer<unknown>> {
    const ask = (): Promise<Answer<unknown>> => this.#ask(request, proofWaitMs)
    return request.call?.shows ? this.#asking(request.space, () => askShown(ask, request, this.#keeper)) : ask()
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
  async #ask(request: Request, proofWaitMs: number): Promise<Answer<unknown>> {
    const { space, key, call } = request
    let isGraceful = false
    let reader: Fill | undefined
    space.asking++
    try {
      this.#mustBeOpen()
      reader = currentFill()
      call?.signal?.throwIfAborted()
      const own = call?.minPosition === undefined ? undefined : await this.floor(request, call)
      const floor = reader?.floor ? strictest([own, reader.floor]) : own
      if (!floor?.isFromSource) {
        const slot = this.fresh(space, key)
        if (slot >= 0) {
          this.#keeper.counters.hits++
          if (reader) this.#inheritStored(reader, space, key, slot, undefined)
          this.refreshEarly(request, slot)
          return this.#stored(slot, 'fresh')
        }
      }
      this.#keeper.counters.misses++
      // A read that carries a position takes nothing that expired: it asked for something newer.
      const mayBeOld = floor === undefined && proofWaitMs !== Number.POSITIVE_INFINITY
      if (mayBeOld && mayServe(this.#keeper, space, key, request.policy.graceRefillMs, false)) {
        const answer = await this.#whileRefilling(request, reader)
        if (answer) return this.#given(answer.answer, answer.landed, request, reader)
      }
      isGraceful = mayBeOld
      const { flight, isJoined } = this.#flightFor(request, reader)
      const signal = either(call?.signal, reader?.signal)
      const landed = await this.#join(flight, reader, floor, proofWaitMs, isGraceful, signal)
      if (landed !== 'expired') return this.#given(this.#landed(landed, isJoined, floor), landed, request, reader)
      const answer = await this.#whileRefilling(request, reader)
      if (answer) return this.#given(answer.answer, answer.landed, request, reader)
      // It was dropped meanwhile.
      return await this.#ask(request, proofWaitMs)
    } catch (error) {
      const isOurs =
        error instanceof CycleError ||
        error instanceof ClosedError ||
        error instanceof BehindError ||
        call?.signal?.aborted
      if (isGraceful && !isOurs && mayServe(this.#keeper, space, key, request.policy.graceFailureMs, true)) {
        return this.#given(this.#stored(space.slots.get(key)!, 'stale'), undefined, request, reader)
      }
      throw error
    } finally {
      space.asking--
    }
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
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      signal?.addEventListener('abort', abort, { once: true })
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

  /** The refill's value if it comes within the soft timeout, else the stale one; undefined if that was dropped meanwhile. */
  async #whileRefilling(
    request: Request,
    reader: Fill | undefined,
  ): Promise<{ answer: Answer<unknown>; landed: Landed | undefined } | undefined> {
    const { space, key, policy } = request
    if (this.fresh(space, key) >= 0) return { answer: this.#stored(space.slots.get(key)!, 'fresh'), landed: undefined }
    const { flight, isJoined } = this.#flightOf(request)
    flight.want()
    // A loader that reads its own stale value would wait for itself.
    if (policy.softTimeoutMs > 0 && !(reader && waitsFor(flight, reader.flight))) {
      const signal = either(request.call?.signal, reader?.signal)
      const bound = deadline(this.#keeper.clock, policy.softTimeoutMs, signal)
      const { proofWaitMs } = this.#limits
      const landed = await this.#join(flight, reader, undefined, proofWaitMs, false, bound.signal).catch(
        () => undefined,
      )
      bound.cancel()
      signal?.throwIfAborted()
      if (landed && landed !== 'expired' && landed.state === 'fresh')
        return { answer: this.#landed(landed, isJoined, undefined), landed }
    }
    const slot = this.#keeper.l1.find(space, key)
    if (slot === undefined) return undefined
    const isFresh = this.fresh(space, key) >= 0
    return { answer: this.#stored(slot, isFresh ? 'fresh' : 'stale'), landed: undefined }
  }

  /** @throws CycleError (`TIDEMARK_CYCLE`) */
  #flightFor(request: Request, reader: Fill | undefined): { flight: Flight; isJoined: boolean } {
    const running = request.space.flights.get(request.key)
    const outer = reader?.flight
    if (running && outer && waitsFor(running, outer)) {
      throw new CycleError(
        `The loader of ${outer.space.text(outer.key)} reads ${request.space.text(request.key)}, which waits for it. Break the cycle: one of them must load what it needs itself.`,
      )
    }
    const found = this.#flightOf(request)
    if (found.isJoined) this.#keeper.counters.joined++
    return found
  }

  #flightOf(request: Request): { flight: Flight; isJoined: boolean } {
    const running = request.space.flights.get(request.key)
    if (running) return { flight: running, isJoined: true }
    this.#mustBeOpen()
    const flight = new Flight(
      this.#keeper,
      request.space,
      request.key,
      request.load,
      request.args,
      request.policy,
      () => {
        this.flights.delete(flight)
        if (this.flights.size === 0) {
          for (const done of this.#idle) done()
          this.#idle.clear()
        }
      },
    )
    this.flights.add(flight)
    // A flight starts after its first reader has joined: its loader may end in the same turn.
    queueMicrotask(() => void flight.fly())
    return { flight, isJoined: false }
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
    const landing = this.#landing(flight, floor, proofWaitMs, isGraceful, signal)
    return reader ? this.#waitFrom(reader, flight, landing) : landing
  }

  async #waitFrom<Result>({ flight: { waitsFor } }: Fill, flight: Flight, landing: Promise<Result>): Promise<Result> {
    flight.hurry()
    waitsFor.set(flight, (waitsFor.get(flight) ?? 0) + 1)
    try {
      return await landing
    } finally {
      const count = (waitsFor.get(flight) ?? 0) - 1
      if (count > 0) waitsFor.set(flight, count)
      else waitsFor.delete(flight)
    }
  }

  #landing(
    flight: Flight,
    floor: Floor | undefined,
    proofWaitMs: number,
    isGraceful: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Landed | 'expired'> {
    return new Promise((resolve, reject) => {
      let leave = (): void => {}
      const end = onAbort(signal, () => {
        leave()
        reject(signal!.reason)
      })
      leave = flight.join({
        asked: this.#keeper.follower.tidemark,
        generation: this.#keeper.follower.generation,
        floor,
        proofWaitMs,
        isGraceful,
        resolve(landed) {
          end()
          resolve(landed)
        },
        reject(error) {
          end()
          reject(error)
        },
      })
    })
  }

  /** What a call that carries a position may take. @throws BehindError, PositionError */
  floor({ space, key }: Request, call: CallOptions): Promise<Floor> {
    return reachFloor({
      position: call.minPosition!,
      call,
      limits: this.#limits,
      keeper: this.#keeper,
      closing: this.#closing.signal,
      isHeld: () => this.fresh(space, key) >= 0,
    })
  }

  /** Whether this process has applied the position. */
  hasReached(text: string): boolean {
    const { follower } = this.#keeper
    const { epoch, lsn } = parsePosition(text)
    return follower.isFollowing && follower.tidemark >= lsn && (epoch === undefined || epoch === follower.epoch)
  }

  #mustBeOpen(): void {
    this.#closing.signal.throwIfAborted()
  }

  /** What L1 holds. A fresh entry is valid as of the tidemark now, however long ago it was filled: nothing since touched it. */
  #stored(slot: number, state: 'fresh' | 'stale'): Answer<unknown> {
    const { l1, follower } = this.#keeper
    const asOf = state === 'fresh' ? follower.position : this.#position(l1.lsnOf(slot))
    const filledAt = this.#wall(l1.filledAtOf(slot))
    return { value: l1.read(slot), state, from: 'l1', asOf, filledAt }
  }

  #landed(landed: Landed, isJoined: boolean, floor: Floor | undefined): Answer<unknown> {
    const state = floor?.isFromSource ? 'fenced' : landed.state
    const asOf = state === 'fresh' && landed.asOf !== undefined ? this.#position(landed.asOf) : undefined
    const value = landed.isCopied ? copyOf(landed.value) : landed.value
    return { value, state, from: isJoined ? 'joined' : landed.from, asOf, filledAt: this.#wall(landed.filledAt) }
  }

  /** Counts the answer, and hands what it was computed from to the entry whose loader asked. */
  #given(
    answer: Answer<unknown>,
    landed: Landed | undefined,
    request: Request,
    reader: Fill | undefined,
  ): Answer<unknown> {
    if (answer.state === 'stale') this.#keeper.counters.stale++
    else if (answer.state === 'fenced') this.#keeper.counters.fenced++
    const unkept = answer.state === 'fresh' ? undefined : answer.state
    if (reader && landed) {
      reader.inherit({
        tenant: request.space.tenant,
        key: request.space.text(request.key),
        dependencies: landed.dependencies,
        areHanded: landed.areHanded,
        expiresAt: landed.filledAt + landed.lifetimeMs,
        unkept,
      })
    } else if (reader) {
      const slot = request.space.slots.get(request.key)
      if (slot !== undefined) this.#inheritStored(reader, request.space, request.key, slot, unkept)
    }
    return answer
  }

  #inheritStored(
    reader: Fill,
    space: Keyspace,
    key: SlotKey,
    slot: number,
    unkept: 'stale' | 'fenced' | undefined,
  ): void {
    const { l1 } = this.#keeper
    reader.inherit({
      tenant: space.tenant,
      key: space.text(key),
      dependencies: l1.index.handedOf(slot),
      areHanded: true,
      expiresAt: l1.expiresAtOf(slot),
      unkept,
    })
  }

  #position(lsn: number): string | undefined {
    return this.#keeper.follower.epoch === undefined ? undefined : this.#keeper.follower.positionAt(lsn)
  }

  #wall(mono: number): number {
    const { clock } = this.#keeper
    return Math.round(clock.wall() - (clock.now() - mono))
  }
}
