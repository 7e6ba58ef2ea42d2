import type { Client } from 'pg'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import { JournalError } from './errors.js'
import { STATE } from './store.js'
import { AUDIT, makeMonth, migrate, monthsOf, partitionOf, VERSION } from './tables.js'
import { verifyChains } from './verify.js'

/**
 * The journal in a backup. Places in logs are not among it: they hold for one server, and a log that is followed from elsewhere begins with a
 * record that says so. The signed heads are in their own place, on purpose.
 */
export const journalBackup = {
  name: 'journal',
  version: VERSION,
  tables: [AUDIT, `${JOURNAL_SCHEMA}.heads`, STATE],
  content: [AUDIT],

  async prepare(client: Client): Promise<void> {
    await client.query('begin')
    await migrate(client)
    // What was just made has no record, and its state is that of nothing.
    await client.query('commit')
  },

  async clear(client: Client): Promise<void> {
    // A writer that waits sees what is there then.
    await client.query(`lock table ${STATE} in access exclusive mode`)
    for (const month of await monthsOf(client)) {
      await client.query(`drop table ${partitionOf(month)}`)
      // A writer that runs knows that it was there.
      await makeMonth(client, month)
    }
    await client.query(`delete from ${JOURNAL_SCHEMA}.heads`)
    await client.query(`delete from ${JOURNAL_SCHEMA}.places`)
    await client.query(`delete from ${STATE}`)
  },

  async before(client: Client, table: string, rows: readonly Readonly<Record<string, string | null>>[]): Promise<void> {
    if (table !== AUDIT) return
    for (const month of new Set(rows.map((row) => Number(row['month'])))) await makeMonth(client, month)
  },

  /** @throws JournalError if a record was changed, or is missing */
  async finish(client: Client): Promise<void> {
    const { rows } = await client.query(`select from ${STATE}`)
    if (rows.length !== 1) throw new JournalError('The backup has no state of the journal. Nothing was changed.')
    const { problems } = await verifyChains(client, undefined, undefined, new AbortController().signal)
    // Where old months were removed a chain begins later: only the signed heads know that this was on purpose.
    const [problem] = problems.filter(({ kind }) => kind !== 'start')
    if (problem)
      throw new JournalError(
        `The journal in the backup is not intact: ${problem.chain} ${problem.seq}: ${problem.detail} Nothing was changed.`,
      )
  },
} as const
