import { TidemarkError } from 'tidemark'

/**
 * Why L2 did not answer:
 *
 * - `not-connected`: the client has no connection to Redis; nothing was sent
 * - `paused`: it failed so often that Redis is left alone for a moment; nothing was sent
 * - `busy`: too many calls wait for an answer; nothing was sent
 * - `deadline`: there was no answer within the deadline
 * - `error`: Redis answered with an error, which is the `cause`
 */
export type L2DownReason = 'not-connected' | 'paused' | 'busy' | 'deadline' | 'error'

/** L2 did not answer. To the cache this is a miss, so whoever reads from it does not see this error. */
export class L2DownError extends TidemarkError {
  readonly code = 'TIDEMARK_L2_DOWN'

  constructor(
    readonly reason: L2DownReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** What is in Redis was made with another number of buckets, so that this process would not find what others store. */
export class L2BucketsError extends TidemarkError {
  readonly code = 'TIDEMARK_L2_BUCKETS'
}
