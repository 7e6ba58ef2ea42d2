import type { Client } from 'pg'
import type { SqlConnection } from '../wal/connection.js'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import { type CheckedRecord, type Head, hashOf, ORIGIN } from './chain.js'
import { chainOf, type Happening, type JournalRecord, monthOf, NOTHING } from './record.js'
import { insertSql, rowsOf } from './rows.js'
import { AUDIT, makeMonth, migrate } from './tables.js'

export const STATE = `${JOURNAL_SCHEMA}.state`

/** A slot began to deliver; what it delivered is recorded; something else is to be told. */
export type Step =
  | { readonly kind: 'begin'; readonly from: number; readonly epoch: string }
  | { readonly kind: 'records'; readonly happenings: readonly Happening[] }

export interface Batch {
  readonly log: string
  /** In the order of the log. */
  readonly steps: readonly Step[]
  /** All up to here is in the journal once this batch is; undefined: nothing is said. */
  readonly covered: number | undefined
  /** It was tried before: whether it was committed is not known. */
  readonly isRetry: boolean
  /** The heads of all chains are wanted, not only of those that it makes longer. */
  readonly wantsHeads: boolean
  /** Now, in µs since 1970. */
  readonly now: number
}

export interface Appended {
  readonly journal: string
  readonly written: number
  /** Of the chains that became longer, or of all. */
  readonly heads: ReadonlyMap<string, Head>
}

interface State {
  readonly journal: string
  nextId: number
  month: number
}

interface Place {
  epoch: string
  covered: number
  last: number
}

/**
 * Appends to the journal's tables. Writers wait for each other on one row, so records have one order, chains have no forks, and whoever
 * comes late (a process that was frozen) finds what was written meanwhile.
 */
export class JournalStore {
  readonly #sql: SqlConnection
  readonly #reads: SqlConnection
  /** The months whose partitions are known to be there. */
  readonly #months = new Set<number>()
  #isMade = false

  /** @param reads  another connection: writing does not wait for questions */
  constructor(sql: SqlConnection, reads: SqlConnection) {
    this.#sql = sql
    this.#reads = reads
  }

  /** Runs in one transaction, with the tables there. */
  async transaction<Result>(run: (client: Client) => Promise<Result>): Promise<Result> {
    return this.#sql.use(async (client) => {
      try {
        await client.query('begin')
        if (!this.#isMade) await migrate(client)
        const result = await run(client)
        await client.query('commit')
        this.#isMade = true
        return result
      } catch (error) {
        this.#isMade = false
        this.#months.clear()
        // Whatever state the connection is in: the next use makes a new one.
        await client.query('rollback').catch(() => {})
        throw error
      }
    })
  }

  /** Runs a question, with the tables there: they are made when somebody first asks. */
  async reading<Result>(run: (client: Client) => Promise<Result>): Promise<Result> {
    if (!this.#isMade) await this.transaction(async () => {})
    return this.#reads.use(run)
  }

  /** Appends a batch, once: what is there already is passed over. */
  append(batch: Batch): Promise<Appended> {
    return this.transaction((client) => this.#append(client, batch))
  }

  async #append(client: Client, batch: Batch): Promise<Appended> {
    const state = await lockState(client)
    const place = await readPlace(client, batch.log)
    const happenings = await withoutKnown(client, batch, place, happeningsOf(batch, place))
    const heads = await readHeads(client, batch.wantsHeads ? undefined : happenings)
    const changed = new Map(batch.wantsHeads ? heads : [])
    const records = happenings.map((happening): CheckedRecord => {
      const chain = chainOf(happening.tenant)
      const before = changed.get(chain) ?? heads.get(chain) ?? ORIGIN
      state.month = Math.max(state.month, monthOf(batch.now))
      const { log, now: created } = batch
      const own = { id: state.nextId++, log, chain, seq: before.seq + 1, created, month: state.month }
      const record: JournalRecord = { ...happening, ...own }
      const hash = hashOf(before.hash, record)
      changed.set(chain, { seq: record.seq, hash })
      return { record, hash }
    })
    await this.#write(client, state, place, batch, records, changed)
    return { journal: state.journal, written: records.length, heads: changed }
  }

  async #write(
    client: Client,
    state: State,
    place: Place | undefined,
    { log, steps, covered }: Batch,
    records: readonly CheckedRecord[],
    heads: ReadonlyMap<string, Head>,
  ): Promise<void> {
    for (const { record } of records) await this.#month(client, record.month)
    if (records.length > 0) await client.query(insertSql(AUDIT), [rowsOf(records)])
    const changed = [...heads].map(([chain, { seq, hash }]) => ({ chain, seq, hash }))
    await client.query(
      `with state as (update ${STATE} set next_id = $1, month = $2)
       insert into ${JOURNAL_SCHEMA}.heads select * from pg_catalog.json_to_recordset($3::json) as r(chain text, seq bigint, hash text)
       on conflict (chain) do update set seq = excluded.seq, hash = excluded.hash`,
      [state.nextId, state.month, JSON.stringify(changed)],
    )
    const now = placeAfter(place, steps, covered)
    if (!now) return
    await client.query(
      `insert into ${JOURNAL_SCHEMA}.places (log, epoch, covered, last) values ($1, $2, $3, $4)
       on conflict (log) do update set epoch = excluded.epoch, covered = excluded.covered, last = excluded.last`,
      [log, now.epoch, now.covered, now.last],
    )
  }

  async #month(client: Client, month: number): Promise<void> {
    if (this.#months.has(month)) return
    await makeMonth(client, month)
    this.#months.add(month)
  }
}

export async function lockState(client: Client): Promise<State> {
  const { rows } = await client.query<{ journal: string; next_id: string; month: number }>(
    `select journal::text, next_id::text, month from ${STATE} for update`,
  )
  const { journal, next_id, month } = rows[0]!
  return { journal, nextId: Number(next_id), month }
}

async function readPlace(client: Client, log: string): Promise<Place | undefined> {
  const { rows } = await client.query<{ epoch: string; covered: string; last: string }>(
    `select epoch, covered::text, last::text from ${JOURNAL_SCHEMA}.places where log = $1`,
    [log],
  )
  const row = rows[0]
  return row && { epoch: row.epoch, covered: Number(row.covered), last: Number(row.last) }
}

/** All of them, unless what is to be written says which. */
async function readHeads(client: Client, happenings: readonly Happening[] | undefined): Promise<Map<string, Head>> {
  const chains = happenings ? [...new Set(happenings.map(({ tenant }) => chainOf(tenant)))] : null
  const { rows } = await client.query<{ chain: string; seq: string; hash: string }>(
    `select chain, seq::text, hash from ${JOURNAL_SCHEMA}.heads where $1::text[] is null or chain = any($1)`,
    [chains],
  )
  return new Map(rows.map(({ chain, seq, hash }) => [chain, { seq: Number(seq), hash }]))
}

/** What a batch tells, with what shows only now: that something was not delivered, or that a log's history is another one. */
function happeningsOf({ steps, now }: Batch, place: Place | undefined): Happening[] {
  const happenings: Happening[] = []
  let known = place
  for (const step of steps) {
    if (step.kind === 'records') happenings.push(...step.happenings)
    else {
      happenings.push(...beginning(step, known, now))
      known = { epoch: step.epoch, covered: Math.max(known?.covered ?? 0, step.from), last: known?.last ?? 0 }
    }
  }
  return happenings
}

function beginning(
  { from, epoch }: Extract<Step, { kind: 'begin' }>,
  place: Place | undefined,
  now: number,
): Happening[] {
  const own = { ...NOTHING, tenant: null, epoch, lsn: from, at: now }
  if (!place) return [{ ...own, n: -1, origin: 'start', cause: 'The journal of this log begins here.' }]
  const told: Happening[] = []
  if (place.epoch !== epoch) {
    const detail = JSON.stringify({ before: place.epoch })
    const cause = 'The server was started anew, or its history is another one (a restored copy, a promoted standby).'
    told.push({ ...own, n: -1, origin: 'start', cause, detail })
  }
  // The slot is never acknowledged beyond what the journal covers: if it stands later, somebody moved it, or it was made anew.
  if (from > place.covered) {
    const detail = JSON.stringify({ after: place.covered, to: from })
    const cause =
      'The slot was dropped, made anew or moved on, so what was committed in between was never delivered: it is not in the journal.'
    told.push({ ...own, n: -2, origin: 'gap', cause, detail })
  }
  return told
}

/** Leaves out what the journal has: a slot delivers again what was not acknowledged, and a batch may have been committed unseen. */
async function withoutKnown(
  client: Client,
  { log, isRetry }: Batch,
  place: Place | undefined,
  happenings: Happening[],
): Promise<Happening[]> {
  const last = place?.last ?? 0
  const suspects = happenings.filter(({ lsn, n }) => n > -1 && (isRetry || lsn <= last))
  const effects = isRetry ? happenings.filter(({ process }) => process !== '') : []
  if (suspects.length + effects.length === 0) return happenings
  const lsns = [...new Set([...suspects, ...effects].map(({ lsn }) => lsn))]
  const { rows } = await client.query<{ lsn: string; n: number; process: string; at: string }>(
    `select lsn::text, n, process, round(extract(epoch from timestamp) * 1000000)::bigint::text as at
     from ${AUDIT} where log = $1 and lsn = any($2)`,
    [log, lsns],
  )
  const known = new Set(rows.map(({ lsn, n, process, at }) => `${lsn} ${n} ${at} ${process}`))
  return happenings.filter(({ lsn, n, process, at }) => !known.has(`${lsn} ${n} ${at} ${process}`))
}

function placeAfter(place: Place | undefined, steps: readonly Step[], covered: number | undefined): Place | undefined {
  let after = place && { ...place }
  for (const step of steps) {
    if (step.kind === 'begin') {
      const isSame = after?.epoch === step.epoch
      const known = isSame ? after!.covered : 0
      after = { epoch: step.epoch, covered: Math.max(known, step.from), last: after?.last ?? 0 }
    } else {
      for (const { lsn, process } of step.happenings)
        if (after && process === '') after.last = Math.max(after.last, lsn)
    }
  }
  if (after && covered !== undefined) after.covered = Math.max(after.covered, covered)
  return after
}
