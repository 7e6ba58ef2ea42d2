import { type By, parsePosition } from 'tidemark'
import { latencyOf } from './effect.js'
import { type Happening, NOTHING } from './record.js'
import { detailOf, storable, textOf } from './texts.js'

/** What became of the refill that a request asked for, once it has ended. */
export interface RefillEffect {
  readonly tenant: string
  /** The request's own, by which its record is found. */
  readonly position: string
  /** Who asked for it, and why. */
  readonly by: By
  /** When it began: ms since 1970. */
  readonly beganAt: number
  readonly ms: number
  /** Runs of loaders that were planned. */
  readonly loads: number
  /** Entries that are there again. */
  readonly filled: number
  readonly failed: number
  /** It was given up before its end, as the process closed. */
  readonly isGivenUp: boolean
}

/** @param n  a number that the process gives once */
export function refilledOf(effect: RefillEffect, process: string, n: number): Happening {
  const { tenant, position, by, beganAt, ms, loads, filled, failed, isGivenUp } = effect
  const { epoch = '', lsn } = parsePosition(position)
  return {
    ...NOTHING,
    tenant: storable(tenant),
    origin: 'refill',
    epoch,
    lsn,
    n,
    process,
    at: Math.round(beganAt * 1_000),
    actor: textOf(by.actor),
    requestId: textOf(by.requestId),
    cause: textOf(by.cause),
    latencyMs: latencyOf(ms),
    detail: detailOf({ loads, filled, failed, ...(isGivenUp ? { givenUp: true } : {}) }),
  }
}
