import type { Commit, Log, LogHold, LogListener, LogStart } from 'tidemark'
import type { FollowedServer } from './read/facts.js'
import type { FollowedTables } from './sql/bind.js'
import { isOfCatalogue } from './wal/messages.js'
import type { FollowedTable } from './wal/tables.js'

/** A log of a PostgreSQL database, as far as reads go by it. */
export interface DatabaseLog extends Log {
  readonly server: FollowedServer | undefined
  followed(table: string): FollowedTable | undefined
  want(table: string): void
}

/** How long what is known of the catalogue may be used where no log tells of its changes. */
const UNFOLLOWED_MS = 30_000

/**
 * What reads know of the database that is followed: one for each database in a process, whichever of its sources opened the log
 * (hot reload, two copies of this module).
 */
export class Followed implements FollowedTables {
  /** Usually one; a second copy of tidemark in the process may open its own. */
  readonly #logs: DatabaseLog[] = []
  #version = 0
  /** The position at which the catalogue last changed, as far as the log tells. */
  #changedAt = 0

  get server(): FollowedServer | undefined {
    return this.#log?.server
  }

  followed(table: string): FollowedTable | undefined {
    return this.#log?.followed(table)
  }

  want(table: string): void {
    this.#log?.want(table)
  }

  /** Another number when anything in the catalogue may have changed. */
  get version(): number {
    return this.#log ? this.#version : -Math.floor(Date.now() / UNFOLLOWED_MS)
  }

  /** Whether a standby that has replayed so much shows the catalogue of this version. */
  shows(lsn: number): boolean {
    return lsn >= this.#changedAt
  }

  /** The log, watched: what changes the catalogue reaches the analyses in the same moment as the cache. */
  watch(log: DatabaseLog): Log {
    this.#logs.push(log)
    const changed = (lsn: number): void => {
      this.#version++
      this.#changedAt = lsn
    }
    return new WatchedLog(log, changed, () => {
      this.#logs.splice(this.#logs.indexOf(log), 1)
    })
  }

  get #log(): DatabaseLog | undefined {
    return this.#logs.at(-1)
  }
}

/** The database of this id, in this process. */
export function followedOf(id: string): Followed {
  const name = Symbol.for('tidemark.postgres.followed.1')
  const scope = globalThis as { [name]?: Map<string, Followed> }
  scope[name] ??= new Map()
  const known = scope[name].get(id)
  if (known) return known
  const own = new Followed()
  scope[name].set(id, own)
  return own
}

class WatchedLog implements Log {
  readonly #log: Log
  readonly #changed: (lsn: number) => void
  readonly #closed: () => void

  constructor(log: Log, changed: (lsn: number) => void, closed: () => void) {
    this.#log = log
    this.#changed = changed
    this.#closed = closed
  }

  get name(): string | undefined {
    return this.#log.name
  }

  get probePaceMs(): number {
    return this.#log.probePaceMs ?? 0
  }

  follow(listener: LogListener): void {
    this.#log.follow({
      started: (start: LogStart) => {
        // What happened while nobody listened is not known.
        this.#changed(start.lsn)
        listener.started(start)
      },
      commit: (commit: Commit) => {
        if (commit.changes.some(isOfCatalogue)) this.#changed(commit.lsn)
        listener.commit(commit)
      },
      progress: (lsn) => listener.progress(lsn),
      lost: (reason) => listener.lost(reason),
      // Only where the catalogue is the same as before.
      resumed: (resume) => listener.resumed(resume),
    })
  }

  probe: Log['probe'] = () => this.#log.probe()
  nudge: Log['nudge'] = () => this.#log.nudge()
  append: Log['append'] = (change) => this.#log.append(change)
  visible: Log['visible'] = (position, signal) => this.#log.visible(position, signal)
  hold = (hold: LogHold): (() => void) => this.#log.hold?.(hold) ?? (() => {})
  status: Log['status'] = () => this.#log.status()

  async close(): Promise<void> {
    this.#closed()
    await this.#log.close()
  }
}
