import { type Clock, parsePosition, type SlotStatus } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { RightsError, SlotError, sqlState, startError } from './errors.js'
import { pause } from './pause.js'

/** How long a walsender may take to end before its slot is dropped. */
const END_MS = 2_000
const LOOK_MS = 20

/** What a look at the shared slot found. */
export interface SlotLook {
  /** `missing`, or the server's wal_status. */
  readonly state: string
  readonly isActive: boolean
  /** Every commit after it is delivered. */
  readonly lsn: number
  readonly heldBytes: number
  /** Why it can't be followed, or must not be kept, in words; empty if it can. */
  readonly reason: string
}

interface SlotRow {
  readonly plugin: string | null
  readonly here: boolean
  readonly temporary: boolean
  readonly active: boolean
  readonly state: string | null
  readonly invalid: string | null
  readonly lsn: string | null
  readonly held: number | null
}

/** The permanent slot that the processes of an application share: whoever holds it follows through it. */
export class SharedSlot {
  readonly #sql: SqlConnection
  readonly #clock: Clock
  readonly name: string
  readonly #keepMax: number
  #seen: SlotLook | undefined

  /** @param keepMax  bytes of WAL that the server may keep for it */
  constructor(sql: SqlConnection, clock: Clock, name: string, keepMax: number) {
    this.#sql = sql
    this.#clock = clock
    this.name = name
    this.#keepMax = keepMax
  }

  /** As it was when last looked at. */
  status(isHeld: boolean): SlotStatus {
    const { state = 'unknown', heldBytes = 0, reason = '' } = this.#seen ?? {}
    return { name: this.name, isHeld, state, heldBytes, reason }
  }

  /** @throws SlotError if a slot of this name is another program's, or another database's */
  async look(): Promise<SlotLook> {
    // Columns that not every version has are read by name from the row as JSON.
    const [row] = await this.#sql.rows<SlotRow>(
      `select s.plugin::text, s.database = current_database() as here, s.temporary, s.active, s.wal_status as state,
         s.confirmed_flush_lsn::text as lsn, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::float8 as held,
         coalesce(to_jsonb(s)->>'invalidation_reason', case when to_jsonb(s)->>'conflicting' = 'true' then 'conflict' end) as invalid
       from pg_replication_slots s where s.slot_name = $1`,
      [this.name],
    )
    if (row && (row.plugin !== 'pgoutput' || !row.here || row.temporary)) throw new SlotError(foreign(this.name))
    this.#seen = row ? this.#judge(row) : { state: 'missing', isActive: false, lsn: 0, heldBytes: 0, reason: '' }
    return this.#seen
  }

  #judge(row: SlotRow): SlotLook {
    const heldBytes = row.held ?? 0
    // One that is being made has no place yet.
    const isLost = row.state === 'lost' || row.invalid !== null || (row.lsn === null && !row.active)
    const reason = isLost
      ? `the server invalidated it (${row.invalid ?? row.state}), so changes in between are lost`
      : heldBytes > this.#keepMax
        ? `the server keeps ${megabytes(heldBytes)} of WAL for it, more than slotKeepMax (${megabytes(this.#keepMax)})`
        : ''
    const lsn = row.lsn === null ? 0 : parsePosition(row.lsn).lsn
    return { state: row.state ?? 'unknown', isActive: row.active, lsn, heldBytes, reason }
  }

  /**
   * Drops it, with the connection of whoever holds it: it is of no use, or fills the server's disk.
   *
   * @throws RightsError if that is another role's
   */
  async drop(): Promise<void> {
    const end = this.#clock.now() + END_MS
    for (;;) {
      const row = await this.#endHolder()
      if (!row) return
      if (!row.active) {
        await this.#sql.rows(
          'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
          [this.name],
        )
        return
      }
      if (this.#clock.now() > end)
        throw new SlotError(`The slot "${this.name}" can't be dropped: its walsender does not end.`)
      await pause(this.#clock, LOOK_MS, new AbortController().signal)
    }
  }

  /** Ends whoever holds it; undefined if it is gone. */
  async #endHolder(): Promise<{ readonly active: boolean } | undefined> {
    try {
      const [row] = await this.#sql.rows<{ active: boolean }>(
        `select active, case when active then pg_terminate_backend(active_pid) end from pg_replication_slots where slot_name = $1`,
        [this.name],
      )
      return row
    } catch (error) {
      if (sqlState(error) !== '42501') throw error
      const [row] = await this.#sql.rows<{ role: string }>(`select format('%I', current_user) as role`)
      throw new RightsError(
        `The slot "${this.name}" has to be dropped, and another role's walsender holds it.`,
        `grant pg_signal_backend to ${row!.role}`,
        { cause: error },
      )
    }
  }

  /**
   * Makes it, as a copy of another: where that was acknowledged. All before that place must have been seen: of a slot that is there this
   * is taken as proven, and a process that dies before it has seen it leaves none.
   *
   * @returns its place; undefined if another process made it in this moment, or a copy would soon have to be given up: the server keeps
   *   much WAL for the other one (a long transaction is open)
   * @throws NoSlotError if the server has none left
   */
  async copy(from: string): Promise<number | undefined> {
    try {
      const [own] = await this.#sql.rows<{ held: number }>(
        'select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as held from pg_replication_slots where slot_name = $1',
        [from],
      )
      if (!own || own.held > this.#keepMax / 2) return undefined
      const [row] = await this.#sql.rows<{ lsn: string }>(
        'select lsn::text from pg_copy_logical_replication_slot($1, $2, false)',
        [from, this.name],
      )
      return parsePosition(row!.lsn).lsn
    } catch (error) {
      if (sqlState(error) === '42710') return undefined
      throw sqlState(error) === '53400' ? startError(error) : error
    }
  }
}

function foreign(name: string): string {
  return (
    `The replication slot "${name}" exists, and is not one of Tidemark's in this database. ` +
    'Give another name as slot, or drop it: select pg_drop_replication_slot(…).'
  )
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}
