import { type Clock, type Probe, parsePosition, type RequestedPosition, type Snapshot } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { ProtocolError, StandbyError } from './errors.js'
import { pause } from './pause.js'

const PROBE = {
  name: 'tidemark_probe',
  text:
    'select pg_current_snapshot()::text as snapshot, pg_is_in_recovery() as standby, ' +
    'case when pg_is_in_recovery() then null else pg_current_wal_flush_lsn() end::text as flushed',
}

const SNAPSHOT = /^([0-9]{1,16}):([0-9]{1,16}):([0-9,]*)$/

/** What a probe costs, at both ends, is spared when commits come faster than this; than 25 times this, while nobody loses a fill by it. */
export const PROBE_PACE_MS = 2

/**
 * Asks a connection of our own what new snapshots see, and how far the WAL is flushed: one query, many askers.
 * An asker never gets the answer of a query that was sent before it asked.
 */
export class Visibility {
  readonly #connection: SqlConnection
  readonly #watchers = new Set<(snapshot: Snapshot) => void>()
  #queued: Promise<Probe> | undefined
  /** The highest xmax seen: what 32-bit transaction ids are widened by. */
  xmax = 0
  /** The furthest flushed end of the WAL that an answer named. */
  flushed = 0

  constructor(connection: SqlConnection) {
    this.#connection = connection
  }

  /** @throws StandbyError on a standby, whose snapshots lag the log; the connection's error otherwise */
  probe(): Promise<Probe> {
    if (this.#queued) return this.#queued
    const probe = this.#connection.use(async (client) => {
      this.#queued = undefined
      const { rows } = await client.query<{ snapshot: string; standby: boolean; flushed: string | null }>(PROBE)
      const row = rows[0]!
      if (row.standby || row.flushed === null) {
        throw new StandbyError(
          'The server is a standby; it cannot say what is visible on the primary. Give the address of the primary.',
        )
      }
      const snapshot = parseSnapshot(row.snapshot)
      const flushed = parsePosition(row.flushed).lsn
      this.#seen(snapshot)
      this.flushed = Math.max(this.flushed, flushed)
      return { snapshot, flushed }
    })
    this.#queued = probe
    probe.catch(() => {
      if (this.#queued === probe) this.#queued = undefined
    })
    return probe
  }

  /**
   * Resolves true once new snapshots are sure to show all that a position names; false when the signal aborts first.
   *
   * With a transaction id: once that is visible. Without one: the commit before the position may be hidden, under any id. So when
   * the WAL is flushed up to there a transaction of our own is written, whose id is above all of theirs, and xmin must pass it.
   *
   */
  async shows(
    position: RequestedPosition,
    writer: TransactionWriter,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<boolean> {
    let own = position.xid
    let isHelped = false
    for (let waitMs = 1; !signal.aborted; waitMs = Math.min(waitMs * 2, 50)) {
      const probe = await this.probe().catch(() => undefined)
      const snapshot = probe?.snapshot
      if (snapshot && own !== undefined) {
        // Below xmin all is over; above, the caller's own transaction is told apart from those that still run.
        if (own < snapshot.xmin) return true
        if (own === position.xid && own < snapshot.xmax && !snapshot.running.has(own)) return true
      } else if (probe && probe.flushed >= position.lsn) {
        own = await writer.ownTransaction().catch(() => undefined)
        if (own !== undefined) continue
      } else if (probe && !isHelped && waitMs > 8) {
        // pg_current_wal_insert_lsn() may lie past all that is flushed, and nothing else may come.
        isHelped = true
        await writer.beat().catch(() => {})
      }
      await pause(clock, waitMs, signal)
    }
    return false
  }

  /** Calls back with each snapshot that was taken; returns how to end that. */
  watch(seen: (snapshot: Snapshot) => void): () => void {
    this.#watchers.add(seen)
    return () => this.#watchers.delete(seen)
  }

  #seen(snapshot: Snapshot): void {
    this.xmax = Math.max(this.xmax, snapshot.xmax)
    for (const seen of this.#watchers) seen(snapshot)
  }

  /** Another server may be behind the address now: its transaction ids are other ones. */
  forget(): void {
    this.xmax = 0
    this.flushed = 0
  }
}

export interface TransactionWriter {
  /** Writes a transaction of our own, and returns its id: all that committed before has a lower one. */
  ownTransaction(): Promise<number>
  /** Writes a transaction that flushes all before it. */
  beat(): Promise<void>
}

/** Reads the text of a pg_snapshot, `xmin:xmax:xip,xip`. */
export function parseSnapshot(text: string): Snapshot {
  const parts = SNAPSHOT.exec(text)
  if (!parts) throw new ProtocolError('The server answered a snapshot in a form that is not known.')
  const running = parts[3] ? parts[3].split(',').map(Number) : []
  return { xmin: Number(parts[1]), xmax: Number(parts[2]), running: new Set(running) }
}
