import type { RowsDependency } from '../../dependencies/dependency.js'
import { SourceDownError } from '../../errors.js'
import type { Log } from '../../log/log.js'
import type { Reading, Source } from '../../source.js'
import type { Chance } from './chance.js'
import { type Condition, type Database, GROUPS, matches, rowsOf } from './database.js'
import type { SimClock } from './sim-clock.js'
import type { SimLog } from './sim-log.js'
import type { SimRelayed } from './sim-relay.js'

/** What one query of a loader saw: for each row of the database, the serial of the version that its snapshot shows. */
export interface Read {
  readonly condition: Condition
  readonly seen: readonly number[]
}

/** What loaders of the simulation read with. */
export interface SimReads {
  rows(condition: Condition): Promise<Read>
  /** The same, of a replica that replays the log. */
  replica(condition: Condition): Promise<Read>
  /** The same, of a copy that lags the log by up to `lagMs`. */
  copy(condition: Condition, lagMs: number): Promise<Read>
}

interface Looked {
  readonly seen: readonly number[]
  /** The ids of the rows that the query returned. */
  readonly members: readonly number[]
}

/** Something that waits for its step. */
interface Parked {
  readonly run: () => void
}

let sources = 0

/** The database as loaders reach it: each query runs at one step, and its answer arrives at a later one. */
export class SimSource implements Source<{ db: SimReads }> {
  readonly id = `simulation-${++sources}`
  readonly log: SimLog
  readonly #relayed: SimRelayed | undefined
  readonly #database: Database
  readonly #chance: Chance
  readonly #clock: SimClock
  #parked: Parked[] = []
  /** How probable it is that a query fails. */
  failure = 0
  /** How far the replica has replayed the log. */
  replayed = 0

  constructor(log: SimLog, database: Database, chance: Chance, clock: SimClock, relayed: SimRelayed | undefined) {
    this.log = log
    this.#relayed = relayed
    this.#database = database
    this.#chance = chance
    this.#clock = clock
  }

  openLog(): Log {
    return this.#relayed ?? this.log
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  get parked(): number {
    return this.#parked.length
  }

  /** One of the queries that wait goes on. */
  step(): void {
    const [parked] = this.#parked.splice(this.#chance.below(this.#parked.length), 1)
    parked!.run()
  }

  context(reading: Reading): { db: SimReads } {
    return {
      db: {
        rows: (condition) => this.#query(reading, condition, () => this.#database.seenNow()),
        replica: (condition) => {
          reading.readAsOf(this.replayed)
          return this.#query(reading, condition, () => this.#database.seenAt(this.replayed))
        },
        copy: (condition, lagMs) => this.#query(reading, condition, () => this.#lagging(lagMs)),
      },
    }
  }

  async #query(reading: Reading, condition: Condition, look: () => number[]): Promise<Read> {
    if (this.#chance.is(0.5)) this.#depend(reading, condition, [])
    const { seen, members } = await this.#park(() => {
      if (this.#relayed?.isElsewhere) reading.unkept('elsewhere')
      return this.#look(condition, look())
    })
    this.#depend(reading, condition, members)
    return { condition, seen }
  }

  #look(condition: Condition, seen: number[]): Looked {
    const states = rowsOf(condition.table).map((row) => this.#database.version(row, seen[row]!)!.state)
    return { seen, members: states.filter((state) => matches(condition, state)).map((state) => state!.id) }
  }

  #lagging(lagMs: number): number[] {
    const lag = this.#chance.is(0.5) ? lagMs : this.#chance.real() * lagMs
    return this.#database.seenAt(this.#database.flushedAt(this.#clock.trueMs - lag))
  }

  /** As the analyser of SQL does: members are named by id where the log has no old values. */
  #depend(reading: Reading, { table, by, value, isListing }: Condition, members: readonly number[]): void {
    const group = GROUPS[table]!
    const rows = (over: Partial<RowsDependency>): void =>
      reading.depend({ kind: 'rows', table, columns: [], values: [], old: 'members', ...over })
    // What leaves, and how: that is left to these by what has members.
    const byId = (id: number, reads: readonly string[]): void =>
      rows({ columns: ['id'], values: [String(id)], old: 'coarse', ...(isListing && { reads }) })
    const reads = isListing ? { reads: ['id'] } : {}
    switch (by) {
      case 'all':
        return reading.depend({ kind: 'table', table, ...(isListing && { reads: [] }) })
      case 'id':
        return byId(value, ['id'])
      case 'group':
        rows({ columns: [group], values: [String(value)], ...reads })
        break
      case 'from':
        rows({
          range: { column: group, order: 'number', from: { value: String(value), isIncluded: true } },
          ...reads,
        })
        break
      default:
        by satisfies never
    }
    // A member leaves by the column of the condition, which is read therefore.
    for (const id of members) byId(id, ['id', group])
  }

  /** The query runs at one step, and half of the time its answer arrives at another. */
  #park(look: () => Looked): Promise<Looked> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        if (!this.log.isUp) return reject(new SourceDownError('The simulated source is down.'))
        if (this.#chance.is(this.failure)) return reject(new Error('The simulation made this query fail.'))
        const looked = look()
        if (this.#chance.is(0.5)) resolve(looked)
        else this.#parked.push({ run: () => resolve(looked) })
      }
      this.#parked.push({ run })
    })
  }
}
