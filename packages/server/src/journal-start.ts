import { join } from 'node:path'
import { Journal, JournalError, type JournalOptions, journalSecret, RightsError } from '@tidemark/postgres'
import type { JournalConfig, SourceConfig } from './config/config.js'

/** What a source is given for its journal. */
export interface JournalSource {
  readonly slot?: string
  readonly journal?: JournalOptions
  readonly secret?: string
}

export interface JournalStart {
  readonly source: JournalSource
  /** undefined where one is kept, or none is wanted. */
  readonly whyNot?: NoJournal
}

/** Why there is no journal, where there could be one. */
export interface NoJournal {
  /** And what to do, in one sentence. */
  readonly reason: string
  /** Whether it was to be kept, and could not. Else nobody asked for it. */
  readonly isTried: boolean
}

export interface JournalPlace {
  readonly journal: JournalConfig
  readonly source: SourceConfig
  readonly database: { readonly url: string; readonly embedded: boolean }
  /** The server's data folder. */
  readonly folder: string
}

/** The private PostgreSQL's, whose only user is the server. */
const OWN_SLOT = 'tidemark_shared'
const NONE: JournalStart = { source: {} }

/**
 * Whether a server keeps a journal, and with what. It is kept wherever that takes nothing from others: in a private PostgreSQL, and in another
 * one where its owner has given a slot that stays. Where it can't be kept the server starts without, unless it is required.
 *
 * @throws RightsError (`TIDEMARK_RIGHTS`), JournalError (`TIDEMARK_JOURNAL`) where it is required
 */
export async function startJournal(place: JournalPlace): Promise<JournalStart> {
  const { journal, source, database, folder } = place
  if (journal.enabled === false) return NONE
  const slot = source.slot ?? (database.embedded ? OWN_SLOT : undefined)
  const isWanted = journal.required || journal.enabled === true
  if (!isWanted && (slot === undefined || source.follow === 'off'))
    return {
      ...NONE,
      whyNot: {
        reason: 'No journal is kept, as it needs a slot that stays: set source.slot, or journal.enabled: false.',
        isTried: false,
      },
    }
  const heads = journal.heads ?? join(folder, 'journal')
  const { url, retention } = journal
  const options = { heads, ...(url === undefined ? {} : { url }), ...(retention === undefined ? {} : { retention }) }
  try {
    const secret = await journalSecret(heads).catch((error: unknown) => {
      throw folderError(heads, error)
    })
    if (slot !== undefined) await prepare(options, { url: source.directUrl ?? database.url, slot })
    const own = source.slot === undefined && slot !== undefined ? { slot } : {}
    return { source: { ...own, journal: options, secret } }
  } catch (error) {
    if (journal.required || !(error instanceof RightsError || error instanceof JournalError)) throw error
    return { ...NONE, whyNot: { reason: `No journal is kept. ${error.message}`, isTried: true } }
  }
}

/** Makes the tables. What passes by itself, a database that does not answer yet, the journal waits for. */
async function prepare(options: JournalOptions, database: { url: string; slot: string }): Promise<void> {
  const journal = new Journal(options, database)
  try {
    await journal.prepare().catch((error: unknown) => {
      if (error instanceof RightsError || error instanceof JournalError) throw error
    })
  } finally {
    await journal.close()
  }
}

function folderError(folder: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined || code.startsWith('TIDEMARK')) return error
  return new JournalError(
    `The folder of its key, ${folder}, can't be used (${code}): set journal.heads, or correct its rights.`,
    {
      cause: error,
    },
  )
}
