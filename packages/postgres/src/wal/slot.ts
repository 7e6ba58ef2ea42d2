import { randomBytes } from 'node:crypto'
import type { Client } from 'pg'
import { type Clock, parsePosition, type Snapshot, type StartProof } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { ProtocolError, sqlState } from './errors.js'
import { pause } from './pause.js'
import type { Server } from './server.js'
import { parseSnapshot } from './visibility.js'

/** What the status begins with while the creation of a slot waits for others. */
const SLOT_WAITS = 'TIDEMARK_SLOT_WAITS'
/** How often to look whom the creation of a slot waits for. */
const LOOK_MS = 300

export interface Slot {
  readonly name: string
  /** Every commit after this position is delivered. */
  readonly lsn: number
  /** From where the server sends, if that is before `lsn`: what lies between was applied already. */
  readonly sentFrom?: number
  readonly proof: StartProof
}

/**
 * Creates a temporary slot, which goes with the connection. Takes as long as the oldest write transaction that is open on the server
 * (in any database), and says through `proof` what must be seen before anything is kept (rule Start).
 */
export async function createSlot(replication: Client, sql: SqlConnection): Promise<Slot> {
  const name = `tidemark_${process.pid}_${randomBytes(6).toString('hex')}`
  try {
    const { lsn, snapshot } = await create(replication, name, 'EXPORT_SNAPSHOT')
    // The next command on the replication connection would end the snapshot: it is read before the stream starts.
    return { name, lsn, proof: { kind: 'snapshot', snapshot: await readExported(sql, snapshot) } }
  } catch (error) {
    // "initial slot snapshot too large": under many transactions it can't be exported.
    if (sqlState(error) !== '40001') throw error
    const { lsn } = await create(replication, name, 'NOEXPORT_SNAPSHOT')
    return { name, lsn, proof: { kind: 'xmin', xid: await sql.use(ownTransaction) } }
  }
}

/** Drops a slot that was created on this connection, where nothing streams yet. */
export async function dropSlot(replication: Client, { name }: Slot): Promise<void> {
  await replication.query(`DROP_REPLICATION_SLOT ${name}`)
}

/** Writes a transaction of our own and returns its id: all that committed before has a lower one. */
export async function ownTransaction(client: Client): Promise<number> {
  const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
  return Number(rows[0]!.xid)
}

/** Calls back with whom the creation of a slot waits for, until the signal aborts. */
export async function watchSlotWait(
  sql: SqlConnection,
  server: Server,
  clock: Clock,
  signal: AbortSignal,
  waits: (reason: string) => void,
): Promise<void> {
  for (;;) {
    await pause(clock, LOOK_MS, signal)
    if (signal.aborted) return
    // A failed look says nothing; the outcome of the creation counts.
    const reason = await slotWaits(sql, server.pid).catch(() => undefined)
    if (reason !== undefined && !signal.aborted) waits(reason)
  }
}

/** Names the transactions that the creation of a slot waits for, or undefined if it waits for none. */
async function slotWaits(sql: SqlConnection, pid: number): Promise<string | undefined> {
  const rows = await sql.rows<{ pid: number; datname: string | null; seconds: number | null }>(
    `select b.pid, a.datname, extract(epoch from clock_timestamp() - a.xact_start)::int as seconds
     from unnest(pg_blocking_pids($1)) as b(pid) left join pg_stat_activity a on a.pid = b.pid limit 5`,
    [pid],
  )
  if (rows.length === 0) return undefined
  const names = rows.map(({ pid, datname, seconds }) =>
    pid === 0
      ? 'a prepared transaction (select * from pg_prepared_xacts)'
      : `process ${pid} (database ${datname ?? 'unknown'}, ${seconds === null ? 'since when this role is not shown' : `transaction open for ${seconds} s`})`,
  )
  return (
    `${SLOT_WAITS}: the replication slot is created when every write transaction that is open now has ended; it waits for ` +
    `${names.join(', ')}. End it, or wait: until then answers come from the source and are not kept.`
  )
}

async function create(
  replication: Client,
  name: string,
  snapshot: 'EXPORT_SNAPSHOT' | 'NOEXPORT_SNAPSHOT',
): Promise<{ readonly lsn: number; readonly snapshot: string }> {
  // The options without parentheses are understood by every version.
  const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
    `CREATE_REPLICATION_SLOT ${name} TEMPORARY LOGICAL pgoutput ${snapshot}`,
  )
  return { lsn: parsePosition(rows[0]!.consistent_point).lsn, snapshot: rows[0]!.snapshot_name }
}

function readExported(sql: SqlConnection, name: string): Promise<Snapshot> {
  if (!/^[0-9A-Fa-f-]+$/.test(name))
    throw new ProtocolError('The server exported a snapshot under a name that is none.')
  return sql.use(async (client) => {
    await client.query('begin isolation level repeatable read')
    try {
      await client.query(`set transaction snapshot '${name}'`)
      const { rows } = await client.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot')
      return parseSnapshot(rows[0]!.snapshot)
    } finally {
      await client.query('rollback')
    }
  })
}
