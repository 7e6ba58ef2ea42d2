import type { Mode } from 'tidemark'
import { type Happening, NOTHING } from './record.js'
import { detailOf, storable } from './texts.js'

/** What a change did in one process. */
export interface Effect {
  readonly epoch: string
  readonly lsn: number
  /** When it was committed: ms since 1970. */
  readonly committedAt: number
  /** The tenant whose request it was; null where it concerned the source, or several tenants. */
  readonly tenant: string | null
  readonly mode: Mode
  /** Entries that it made stale, by tier. */
  readonly touched: Readonly<Record<string, number>>
  readonly ms: number
}

/**
 * What is written of how long something took, in microseconds: one at least. The clock of the server that committed it and ours may differ by more
 * than it took.
 */
export function latencyOf(ms: number): number {
  return Math.max(1, Math.round(ms * 1_000)) / 1_000
}

/** @param n  a number that the process gives once */
export function effectOf(effect: Effect, process: string, n: number): Happening {
  const { epoch, lsn, committedAt, tenant, mode, touched, ms } = effect
  return {
    ...NOTHING,
    tenant: tenant === null ? null : storable(tenant),
    origin: 'effect',
    epoch,
    lsn,
    n,
    process,
    at: Math.round(committedAt * 1_000),
    mode,
    latencyMs: latencyOf(ms),
    detail: detailOf({ touched }),
  }
}
