import type { RelayRecord } from './record.js'
import { relayRules } from './rules.js'

/** Where a follower begins, and the records from there on, oldest first. */
export interface RelayStart {
  readonly lsn: number
  readonly records: readonly RelayRecord[]
}

/**
 * Rule Start for a follower: it begins where all can be seen that lies before, which the leader's newest records name, and not at the end.
 * Takes the newest records, from the newest back; says where to begin once they reach far enough, or that they never will.
 */
export class StartSearch {
  readonly #records: RelayRecord[] = []
  #proven: number | undefined

  /** Takes the next older record of the history. Returns whether the search is over. */
  add(record: RelayRecord): boolean {
    const { proven, to } = record
    if (proven !== undefined && (this.#proven === undefined || proven > this.#proven)) this.#proven = proven
    const next = this.#records.at(-1)
    // Between them something is missing: what is older is of no use.
    if (next && to < next.from) return true
    this.#records.push(record)
    return this.#isReached || this.#proven === undefined
  }

  get #isReached(): boolean {
    return this.#proven !== undefined && this.#records.some(({ from }) => from <= this.#proven!)
  }

  /** As far as the records go; undefined if there are none. */
  get end(): number | undefined {
    return this.#records.length > 0 ? Math.max(...this.#records.map(({ to }) => to)) : undefined
  }

  /** undefined if the records do not reach back to where all can be seen. */
  get start(): RelayStart | undefined {
    if (!this.#isReached) return undefined
    return { lsn: relayRules.startsAt(this.#proven!, this.end!), records: [...this.#records].reverse() }
  }
}
