import type { Mode } from 'tidemark'

/**
 * What a record tells of.
 *
 * request: somebody asked to invalidate. edit: somebody edited a config tree. rows: a transaction changed rows. ddl: the catalogue changed. effect: what a change did in one
 * process. refill: what a request took was filled again, as it had asked for. gap: what was committed before `lsn` was not delivered to the journal. start: from here on the journal follows a log, or
 * another history of it. retention: older records were removed.
 */
export type Origin = 'request' | 'edit' | 'rows' | 'ddl' | 'effect' | 'refill' | 'gap' | 'start' | 'retention'

/** Something to be recorded, before it has its place in a chain. Never holds a value of a row or of an entry. */
export interface Happening {
  /** null: it concerns the source, and entries of every tenant. */
  readonly tenant: string | null
  readonly origin: Origin
  readonly epoch: string
  readonly lsn: number
  /** Tells those of one position apart: what one process wrote of it has each number once. */
  readonly n: number
  /** The process that tells of an effect or a refill; empty for what the log itself holds. */
  readonly process: string
  /** When it was committed, or began, in µs since 1970. */
  readonly at: number
  readonly pattern: string | null
  readonly keys: readonly string[]
  readonly tags: readonly string[]
  readonly tables: readonly string[]
  readonly mode: Mode | null
  readonly actor: string | null
  readonly requestId: string | null
  readonly cause: string | null
  readonly latencyMs: number | null
  /** Counts, and what else is to be told: JSON. */
  readonly detail: string
}

/** Where and when something happened. */
export type Place = Pick<Happening, 'epoch' | 'lsn' | 'at'>

/** A happening in its place: recorded. */
export interface JournalRecord extends Happening {
  /** Dense, over all chains, in the order of writing. */
  readonly id: number
  /** The slot's name: which log it is of. */
  readonly log: string
  readonly chain: string
  /** Dense in its chain, from 1. */
  readonly seq: number
  /** When it was written, in µs since 1970. */
  readonly created: number
  /** What it was filed under, e.g. 202611: never goes back. */
  readonly month: number
}

/** Fields that happenings of most kinds do not have. */
export const NOTHING = {
  n: 0,
  process: '',
  pattern: null,
  keys: [],
  tags: [],
  tables: [],
  mode: null,
  actor: null,
  requestId: null,
  cause: null,
  latencyMs: null,
  detail: '{}',
} as const satisfies Partial<Happening>

/** Each tenant has a chain of its own, and so has the source. Injective: no tenant's name makes it the source's. */
export function chainOf(tenant: string | null): string {
  return tenant === null ? 'source' : `tenant ${tenant}`
}

/** The month of a moment in µs, e.g. 202611. */
export function monthOf(micros: number): number {
  const date = new Date(micros / 1_000)
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1
}
