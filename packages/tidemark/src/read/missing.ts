import type { Fill } from './fill.js'
import type { Keeper } from './keep.js'
import type { Form } from './many.js'
import { type Landed, NestedReader, Reader } from './reader.js'
import type { Reads } from './reads.js'
import type { Request } from './request.js'

/** Whether nothing but a flight can answer: L1 has nothing of it, not even what expired, and the call carries nothing. */
export function isMissing({ space, key, call }: Request, outer: Fill | undefined): boolean {
  return !space.slots.has(key) && !call?.signal && call?.minPosition === undefined && !call?.shows && !outer?.floor
}

/**
 * A read of what is missing. It costs one promise: each costs more while loaders run, as what they read is gathered along promises.
 *
 * @param outer  the fill whose loader reads
 */
export function readMissing<Result>(
  reads: Reads,
  keeper: Keeper,
  request: Request,
  outer: Fill | undefined,
  proofWaitMs: number,
  form: Form<Result>,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    reads.mustBeOpen()
    keeper.counters.misses++
    const { flight, isJoined } = reads.flightFor(request, outer)
    const isGraceful = proofWaitMs !== Number.POSITIVE_INFINITY
    const landed = (landed: Landed | 'expired'): void => {
      if (landed === 'expired') return resolve(reads.expired(request, outer).then(form.answered))
      if (outer) reads.inherit(outer, request, landed)
      resolve(form.landed(landed, isJoined))
    }
    const failed = (error: unknown): void => {
      const stale = isGraceful ? reads.staleAfter(request, error, outer) : undefined
      if (stale) resolve(form.answered(stale))
      else reject(error)
    }
    const { follower } = keeper
    if (outer)
      new NestedReader(follower, undefined, proofWaitMs, isGraceful, landed, failed).join(
        flight,
        outer.loading,
        undefined,
      )
    else flight.join(new Reader(follower, undefined, proofWaitMs, isGraceful, landed, failed))
  })
}
