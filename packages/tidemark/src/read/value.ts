import type { Answer } from '../answer.js'
import { currentFill } from './current.js'
import type { Keeper } from './keep.js'
import type { Form } from './many.js'
import { type Landed, Reader } from './reader.js'
import type { Reads } from './reads.js'
import type { Request } from './request.js'

/**
 * Only the value of a read that found no fresh entry. Where L1 has nothing at all, and the call carries nothing, it costs one promise: each costs
 * more while loaders run, as what they read is gathered along promises.
 */
export function readValue(reads: Reads, keeper: Keeper, request: Request, form: Form<unknown>): Promise<unknown> {
  const { space, key, call } = request
  if (space.slots.has(key) || call?.signal || call?.minPosition !== undefined || currentFill() !== undefined)
    return reads.ask(request).then(onlyValue)
  return new Promise((resolve, reject) => {
    reads.mustBeOpen()
    keeper.counters.misses++
    const { flight } = reads.flightFor(request, undefined)
    const landed = (landed: Landed | 'expired'): void => {
      resolve(landed === 'expired' ? reads.expired(request).then(onlyValue) : form.landed(landed))
    }
    const failed = (error: unknown): void => {
      const stale = reads.staleAfter(request, error, undefined)
      if (stale) resolve(stale.value)
      else reject(error)
    }
    flight.join(new Reader(keeper.follower, undefined, reads.proofWaitMs, true, landed, failed))
  })
}

function onlyValue(answer: Answer<unknown>): unknown {
  return answer.value
}
