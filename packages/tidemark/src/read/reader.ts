import { onAbort } from '../abort.js'
import type { Follower } from '../follow/follower.js'
import type { InLine } from '../line.js'
import type { Flight } from './flight.js'
import type { Floor } from './floor.js'
import type { Kept } from './keep.js'
import type { Loading } from './loading.js'

/** What a flight hands to a reader. */
export class Landed {
  readonly kept: Kept
  readonly state: 'fresh' | 'fenced' | 'stale'
  /** The position as of which it holds; undefined unless fresh. */
  readonly asOf: number | undefined

  constructor(kept: Kept, state: 'fresh' | 'fenced' | 'stale', asOf: number | undefined) {
    this.kept = kept
    this.state = state
    this.asOf = asOf
  }
}

/** A read that waits for a flight. */
export class Reader {
  /** The tidemark, and its generation, when it asked. */
  readonly asked: number
  readonly generation: number
  /** What it may take, if it or the load that it belongs to carries a position. */
  readonly floor: Floor | undefined
  /** How long it waits for proofs; Infinity for watches. */
  readonly proofWaitMs: number
  /** It takes what expired: it is told so when L1 has something of the kind. */
  readonly isGraceful: boolean
  readonly #resolve: (landed: Landed | 'expired') => void
  readonly #reject: (error: unknown) => void
  /** Since when, and how often, it was made to wait for another load. */
  proofDeadline = Number.POSITIVE_INFINITY
  attempts = 0

  constructor(
    follower: Follower,
    floor: Floor | undefined,
    proofWaitMs: number,
    isGraceful: boolean,
    resolve: (landed: Landed | 'expired') => void,
    reject: (error: unknown) => void,
  ) {
    this.asked = follower.tidemark
    this.generation = follower.generation
    this.floor = floor
    this.proofWaitMs = proofWaitMs
    this.isGraceful = isGraceful
    this.#resolve = resolve
    this.#reject = reject
  }

  resolve(landed: Landed | 'expired'): void {
    this.#resolve(landed)
  }

  reject(error: unknown): void {
    this.#reject(error)
  }
}

/** A read by a loader, or one that carries a signal: it ends with what asked for it. Those who look for cycles see for what a loader waits. */
export class NestedReader extends Reader implements InLine<NestedReader> {
  flight!: Flight
  #outer: Loading | undefined
  #unlisten: (() => void) | undefined
  before: NestedReader | undefined
  after: NestedReader | undefined

  /** Waits for a flight, until `outer` or the signal, whichever there is, ends that. */
  join(flight: Flight, outer: Loading | undefined, signal: AbortSignal | undefined): void {
    this.flight = flight
    this.#outer = outer
    this.#unlisten = signal && onAbort(signal, () => this.stop(signal.reason))
    flight.join(this)
    if (!outer) return
    outer.reads.add(this)
    flight.hurry()
  }

  override resolve(landed: Landed | 'expired'): void {
    this.#end()
    super.resolve(landed)
  }

  override reject(error: unknown): void {
    this.#end()
    super.reject(error)
  }

  /** Whoever asked waits no more. */
  stop(reason: unknown): void {
    this.flight.leave(this)
    this.reject(reason)
  }

  #end(): void {
    this.#unlisten?.()
    this.#outer?.reads.delete(this)
  }
}

/** Why a load is given up that has no reader any more. */
export function unwanted(): DOMException {
  return new DOMException('Nobody waits for this value any more.', 'AbortError')
}
