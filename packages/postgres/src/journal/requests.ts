import type { SqlConnection } from '../wal/connection.js'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import { storable } from './texts.js'

/** What is known of a request's id. */
export type Claim =
  /** Nobody had it, or its time is over: the request is to be made now. */
  | { readonly kind: 'claimed' }
  /** It is being made. */
  | { readonly kind: 'running'; readonly fingerprint: string }
  | { readonly kind: 'answered'; readonly fingerprint: string; readonly answer: string }

export interface RequestsLimits {
  /** How long an id is known. */
  readonly keepMs: number
  /** After so long without an answer whoever made the request counts as gone. */
  readonly runMaxMs: number
}

/** A request by its id, of one tenant. */
export interface RequestName {
  readonly tenant: string
  readonly id: string
}

const TABLE = `${JOURNAL_SCHEMA}.requests`

/**
 * Ids of requests and what was answered: a memory of all processes, not part of the record. Unlogged: it costs the log nothing, and after a crash of
 * the server it begins empty, when a request that is repeated is made again, which is never wrong.
 */
export const REQUESTS = `
  create unlogged table ${TABLE} (
    tenant text collate "C", id text collate "C", fingerprint text not null, process text not null, claimed_at timestamptz not null,
    answer text, primary key (tenant, id));
  create index on ${TABLE} (claimed_at);`

const CLAIM = `
  insert into ${TABLE} as known (tenant, id, fingerprint, process, claimed_at) values ($1, $2, $3, $4, clock_timestamp())
  on conflict (tenant, id) do update
  set fingerprint = excluded.fingerprint, process = excluded.process, claimed_at = excluded.claimed_at, answer = null
  where known.claimed_at < clock_timestamp() - $5 * interval '1 ms'
    or (known.answer is null and (known.process = excluded.process or known.claimed_at < clock_timestamp() - $6 * interval '1 ms'))
  returning true`

const SWEEP_EVERY_MS = 60_000

/** What processes know together of requests that have an id, so that one that is repeated at another process is not made again. */
export class JournalRequests {
  readonly #sql: SqlConnection
  readonly #process: string
  readonly #limits: RequestsLimits
  #sweptAt = Number.NEGATIVE_INFINITY

  /** @param process  a name that no other process has */
  constructor(sql: SqlConnection, process: string, limits: RequestsLimits) {
    this.#sql = sql
    this.#process = process
    this.#limits = limits
  }

  /**
   * Claims an id for this process, or says what is known of it. Rejects where that can't be known.
   *
   * A process does not claim an id while it is making the request: what it had claimed before and not answered, it gave up.
   */
  async claim(name: RequestName, fingerprint: string): Promise<Claim> {
    const { keepMs, runMaxMs } = this.#limits
    for (;;) {
      const values = [...valuesOf(name), fingerprint, this.#process, keepMs, runMaxMs]
      if ((await this.#sql.rows(CLAIM, values)).length === 1) {
        this.#sweep()
        return { kind: 'claimed' }
      }
      const known = await this.find(name)
      // It was forgotten in between.
      if (known) return known
    }
  }

  /** What is known of an id; undefined if nothing is. */
  async find(name: RequestName): Promise<Exclude<Claim, { kind: 'claimed' }> | undefined> {
    const [row] = await this.#sql.rows<{ fingerprint: string; answer: string | null }>(
      `select fingerprint, answer from ${TABLE} where tenant = $1 and id = $2 and claimed_at >= clock_timestamp() - $3 * interval '1 ms'`,
      [...valuesOf(name), this.#limits.keepMs],
    )
    if (!row) return undefined
    const { fingerprint, answer } = row
    return answer === null ? { kind: 'running', fingerprint } : { kind: 'answered', fingerprint, answer }
  }

  /** What came of a request that this process had claimed. */
  async answered(name: RequestName, answer: string): Promise<void> {
    await this.#sql.rows(`update ${TABLE} set answer = $4 where tenant = $1 and id = $2 and process = $3`, [
      ...valuesOf(name),
      this.#process,
      storable(answer),
    ])
  }

  /** It failed: it may be made again. */
  async failed(name: RequestName): Promise<void> {
    await this.#sql.rows(`delete from ${TABLE} where tenant = $1 and id = $2 and process = $3 and answer is null`, [
      ...valuesOf(name),
      this.#process,
    ])
  }

  #sweep(): void {
    const now = performance.now()
    if (now - this.#sweptAt < SWEEP_EVERY_MS) return
    this.#sweptAt = now
    const sql = `delete from ${TABLE} where claimed_at < clock_timestamp() - $1 * interval '1 ms'`
    this.#sql.rows(sql, [this.#limits.keepMs]).catch(() => {})
  }
}

function valuesOf({ tenant, id }: RequestName): string[] {
  return [storable(tenant), storable(id)]
}
