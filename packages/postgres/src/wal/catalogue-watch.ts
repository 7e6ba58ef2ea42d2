import { type Clock, LogGapError } from 'tidemark'
import { PublicationError } from './errors.js'
import { publicationGone } from './loss-watch.js'
import { DDL_PREFIX, type Messages } from './messages.js'
import { pause } from './pause.js'
import type { Tables, TablesMark } from './tables.js'
import type { Writer } from './writer.js'

export interface CatalogueWatchOptions {
  readonly tables: Tables
  readonly messages: Messages
  readonly writer: Writer
  readonly publication: string
  /** How often the catalogue is looked at. */
  readonly everyMs: number
  readonly clock: Clock
  /** The catalogue was looked at, and may be another one. */
  looked(): void
}

/** Looks that somebody asked for come no closer than this. */
const PAUSE_MS = 50
/** At most this part of the time goes into looking. */
const SHARE = 1 / 20
/** So long may looks fail: without them, changes of the catalogue would go unseen for longer than is promised. */
const BLIND_MAX_MS = 10_000

/**
 * Looks at the catalogue while the log is followed. DDL sends nothing, so the process that sees a change writes it into the log as a
 * message: it has one position for all, after every row that was committed before it was seen.
 */
export class CatalogueWatch {
  readonly #options: CatalogueWatchOptions
  #isWanted = false
  #wake = (): void => {}
  #mark: TablesMark | undefined

  constructor(options: CatalogueWatchOptions) {
    this.#options = options
  }

  /** The last state of the catalogue of which every change is in the log. */
  get mark(): TablesMark | undefined {
    return this.#mark
  }

  /** Look soon: a query reads a table that is not followed, or the log describes one anew. */
  soon(): void {
    this.#isWanted = true
    this.#wake()
  }

  /** Watches until the signal aborts. Resolves with the reason if the log can't be believed any more. */
  async run(signal: AbortSignal): Promise<unknown> {
    const { clock, everyMs, tables } = this.#options
    this.#mark = tables.mark()
    let seenAt = clock.now()
    let tookMs = 0
    while (!signal.aborted) {
      await this.#pause(Math.max(tables.isSettling ? everyMs / 20 : everyMs, tookMs / SHARE), signal)
      if (signal.aborted) break
      const beganAt = clock.now()
      try {
        await this.#look()
        seenAt = clock.now()
      } catch (error) {
        if (error instanceof LogGapError || error instanceof PublicationError || clock.now() - seenAt > BLIND_MAX_MS)
          return error
      }
      tookMs = clock.now() - beganAt
    }
    return undefined
  }

  async #look(): Promise<void> {
    const { tables, messages, writer, publication } = this.#options
    this.#isWanted = false
    const { definitions, hasLost, touched, isPublicationGone } = await tables.poll()
    this.#options.looked()
    if (isPublicationGone) throw publicationGone(publication)
    const isNew = definitions !== undefined && !messages.isAnnounced(definitions.from, definitions.to)
    if (hasLost || isNew) {
      const { from, to } = definitions ?? { from: '', to: '' }
      // What fails here is written at the next look.
      await writer.message(DDL_PREFIX, messages.ddl(from, to, touched))
    }
    tables.told()
    this.#mark = tables.mark()
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    await pause(clock, Math.min(ms, PAUSE_MS), signal)
    const wake = new AbortController()
    this.#wake = () => wake.abort()
    if (!this.#isWanted) await pause(clock, ms - PAUSE_MS, AbortSignal.any([signal, wake.signal]))
  }
}
