import { onAbort } from '../abort.js'
import type { Answer, State } from '../answer.js'
import type { CallOptions } from '../definition.js'
import type { Policy } from '../options.js'
import type { SlotKey } from '../tiers/space.js'
import { copyOf } from '../values.js'
import type { Answers } from './answers.js'
import type { Batches } from './batch.js'
import { currentFill } from './current.js'
import type { AnyLoader, Flight } from './flight.js'
import type { Floor } from './floor.js'
import type { Keeper } from './keep.js'
import type { Keyspace } from './keyspace.js'
import { type Landed, Reader } from './reader.js'
import type { Reads } from './reads.js'
import { Request } from './request.js'

/** Many keys of one keyspace, asked for together. */
export interface ManyWanted {
  readonly space: Keyspace
  readonly keys: readonly SlotKey[]
  /** What the loaders get for each key. */
  readonly asked: readonly unknown[]
  /** Loads one key by itself: for who may not have what was loaded together. */
  readonly load: AnyLoader
  readonly batch: Batches | undefined
  readonly policy: Policy
  readonly call: CallOptions | undefined
}

/** What a call gives for each key. */
export interface Form<Result> {
  stored(slot: number): Result
  landed(landed: Landed, isJoined?: boolean, floor?: Floor): Result
  answered(answer: Answer<unknown>): Result
  /** It was fresh, and nobody can tell whether it still is. */
  doubted(result: Result): Result
}

/** What may have gone stale while others were loaded is asked for again so often. */
const AGAIN_MAX = 2

/** Only the values: of an answer nothing else is worked out. */
export function valuesOnly({ l1, counters }: Keeper): Form<unknown> {
  return {
    stored: (slot) => l1.read(slot),
    landed({ kept, state }, _, floor) {
      if (floor?.isFromSource || state === 'fenced') counters.fenced++
      else if (state === 'stale') counters.stale++
      return kept.isCopied ? copyOf(kept.value) : kept.value
    },
    answered: ({ value }) => value,
    doubted: (value) => value,
  }
}

/** All that is known of each. */
export function inFull(answers: Answers): Form<Answer<unknown>> {
  return {
    stored: (slot) => answers.stored(slot, 'fresh'),
    landed: (landed, isJoined = false, floor) => answers.counted(answers.landed(landed, isJoined, floor)),
    answered: (answer) => answer,
    doubted: (answer) => ({ ...answer, state: 'fenced', asOf: undefined }),
  }
}

/**
 * Reads many keys at once, in their order: what L1 has costs no promise, and what is missing is loaded together. Where a read is more than
 * that (inside of a loader, with grace) it is a read like any other, whose load is part of the same batch.
 */
export async function readMany<Result>(
  reads: Reads,
  keeper: Keeper,
  wanted: ManyWanted,
  form: Form<Result>,
): Promise<Result[]> {
  const { space, keys, call } = wanted
  space.asking++
  try {
    reads.mustBeOpen()
    call?.signal?.throwIfAborted()
    const isNested = currentFill() !== undefined
    const isHeld = (): boolean => keys.every((key) => reads.fresh(space, key) >= 0)
    const floor = call?.minPosition === undefined ? undefined : await reads.floor(call, isHeld)
    const results: Result[] = new Array(keys.length)
    const fresh = new Uint8Array(keys.length)
    const missing: number[] = []
    for (let i = 0; i < keys.length; i++) {
      const slot = isNested || call?.shows || floor?.isFromSource ? -1 : reads.fresh(space, keys[i]!)
      if (slot < 0) {
        missing.push(i)
        continue
      }
      keeper.counters.hits++
      if (wanted.policy.earlyRefresh > 0) reads.refreshEarly(requestOf(wanted, i), slot)
      results[i] = form.stored(slot)
      fresh[i] = 1
    }
    let wanting = missing
    for (let tries = 0; wanting.length > 0; tries++) {
      await load(reads, keeper, wanted, form, { floor, isNested, missing: wanting, results, fresh })
      if (keeper.isTrusted(keeper.clock.now())) break
      // Whoever waited for the last one gets what was fresh when it was read, and may not be by now: that is asked for again.
      wanting = []
      for (let i = 0; i < keys.length; i++) if (fresh[i] === 1) wanting.push(i)
      if (tries < AGAIN_MAX) continue
      for (const i of wanting) results[i] = form.doubted(results[i]!)
      break
    }
    return results
  } finally {
    space.asking--
  }
}

interface Loaded<Result> {
  readonly floor: Floor | undefined
  readonly isNested: boolean
  readonly missing: readonly number[]
  readonly results: Result[]
  /** 1 for each that is said to be fresh. */
  readonly fresh: Uint8Array
}

/** One promise for all; of each, what its flight calls when it lands. */
function load<Result>(
  reads: Reads,
  keeper: Keeper,
  wanted: ManyWanted,
  form: Form<Result>,
  { floor, isNested, missing, results, fresh }: Loaded<Result>,
): Promise<void> {
  const { space, keys, call } = wanted
  const isGraceful = floor === undefined
  return new Promise<void>((resolve, reject) => {
    const waiting: { readonly flight: Flight; readonly reader: Reader }[] = []
    let pending = missing.length
    const end = onAbort(call?.signal, () => {
      for (const { flight, reader } of waiting) flight.leave(reader)
      reject(call!.signal!.reason)
    })
    const give = (i: number, result: Result, state: State): void => {
      results[i] = result
      fresh[i] = state === 'fresh' && !floor?.isFromSource ? 1 : 0
      if (--pending > 0) return
      end()
      resolve()
    }
    const given = (i: number, answer: Answer<unknown>): void => give(i, form.answered(answer), answer.state)
    const fail = (error: unknown): void => {
      end()
      reject(error)
    }
    const ask = (i: number): void => {
      reads.ask(requestOf(wanted, i), undefined, floor).then((answer) => given(i, answer), fail)
    }
    const join = (i: number): void => {
      const request = requestOf(wanted, i)
      const { flight, isJoined } = reads.flightFor(request, undefined)
      const landed = (landed: Landed | 'expired'): void => {
        if (landed === 'expired') reads.expired(request).then((answer) => given(i, answer), fail)
        else give(i, form.landed(landed, isJoined, floor), landed.state)
      }
      const failed = (error: unknown): void => {
        const stale = isGraceful ? reads.staleAfter(request, error, undefined) : undefined
        if (stale) given(i, stale)
        else fail(error)
      }
      const reader = new Reader(keeper.follower, floor, reads.proofWaitMs, isGraceful, landed, failed)
      flight.join(reader)
      if (call?.signal) waiting.push({ flight, reader })
    }
    for (const i of missing) {
      // Grace, or what a loader takes over from what it reads, is a matter of each.
      if (isNested || call?.shows || space.slots.has(keys[i]!)) {
        ask(i)
        continue
      }
      keeper.counters.misses++
      join(i)
    }
  })
}

function requestOf(wanted: ManyWanted, i: number): Request {
  const { space, keys, asked, load, policy, call, batch } = wanted
  return new Request(space, keys[i]!, load, [asked[i]], policy, call, batch)
}
