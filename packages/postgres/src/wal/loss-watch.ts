import { type Clock, LogGapError } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { pause } from './pause.js'

const EVERY_MS = 1_000

/** What the log is followed through. */
export interface FollowedThrough {
  readonly slot: string
  /** Its oid: another one of the same name does not tell of what came between. */
  readonly publication: number
}

export interface LossWatchOptions {
  readonly sql: SqlConnection
  readonly clock: Clock
  readonly publicationName: string
  /** Now; undefined while it is not known. */
  followed(): FollowedThrough | undefined
}

/**
 * Looks whether the slot and the publication are still there. The server tells of a lost slot on the stream too, but behind all that is
 * still to be read there; of a lost publication some versions tell nothing, and a look at the whole catalogue is dear, so it is rare.
 */
export class LossWatch {
  readonly #options: LossWatchOptions

  constructor(options: LossWatchOptions) {
    this.#options = options
  }

  /** Watches until the signal aborts. Resolves with the reason if the log can't be believed any more. */
  async run(signal: AbortSignal): Promise<LogGapError | undefined> {
    while (!signal.aborted) {
      await pause(this.#options.clock, EVERY_MS, signal)
      if (signal.aborted) break
      // A look that fails says nothing: the next one may not.
      const reason = await this.#look().catch(() => undefined)
      if (reason) return reason
    }
    return undefined
  }

  async #look(): Promise<LogGapError | undefined> {
    const { sql, publicationName, followed } = this.#options
    const through = followed()
    if (!through) return undefined
    const [row] = await sql.rows<{ slot: boolean; publication: boolean }>(
      `select exists (select from pg_replication_slots where slot_name = $1 and wal_status is distinct from 'lost') as slot,
         exists (select from pg_publication where oid = $2) as publication`,
      [through.slot, through.publication],
    )
    // The slot may have been changed for the shared one while the question was under way.
    if (followed()?.slot !== through.slot) return undefined
    if (!row!.slot)
      return new LogGapError(
        `The replication slot "${through.slot}" was dropped, or the server invalidated it, so changes are lost; the log is taken up anew.`,
      )
    return row!.publication ? undefined : publicationGone(publicationName)
  }
}

/** Says that the publication is not the one any more through which the log was followed. */
export function publicationGone(name: string): LogGapError {
  return new LogGapError(
    `The publication "${name}" was dropped or replaced, and changes meanwhile may be lost; the log is taken up anew.`,
  )
}
