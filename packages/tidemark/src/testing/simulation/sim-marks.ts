import type { Database, Written } from './database.js'

interface SimMark {
  readonly commit: Written
  /** Monotonic ms. */
  readonly writtenAt: number
}

/** The newest mark that was delivered: so many commits there are up to it (0 if the history has it no longer), and for when it stands. */
export interface MarkedPlace {
  readonly place: number
  readonly writtenAt: number
  readonly deliveredAt: number
}

interface DeliveredMark extends SimMark {
  readonly deliveredAt: number
}

/** Where a restarted server's log is taken up, and what was filled before may be believed still. */
export interface MarkedStart {
  readonly lsn: number
  readonly keepsBefore: number
}

/** Marks in the log of the process that holds the shared slot, as `@tidemark/postgres` writes them: the newest that was delivered counts. */
export class SimMarks {
  readonly #database: Database
  readonly #now: () => number
  #written: SimMark | undefined
  #newest: DeliveredMark | undefined

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  get newest(): MarkedPlace | undefined {
    if (!this.#newest) return undefined
    const { commit, writtenAt, deliveredAt } = this.#newest
    return { place: this.#database.commits.indexOf(commit) + 1, writtenAt, deliveredAt }
  }

  /** While one is under way another would only take its place. */
  get underWay(): Written | undefined {
    return this.#database.commits.find((commit) => commit === this.#written?.commit)
  }

  write(trueMs: number): void {
    const writtenAt = this.#now()
    this.#written = { commit: this.#database.mark(trueMs), writtenAt }
  }

  delivered(commit: Written): void {
    if (commit !== this.#written?.commit) return
    this.#newest = { commit, writtenAt: this.#written.writtenAt, deliveredAt: this.#now() }
    this.#written = undefined
  }

  /** Where the log of a restarted server is taken up; undefined if nothing proves what it holds. */
  get start(): MarkedStart | undefined {
    const mark = this.#newest
    if (!mark) return undefined
    if (markRules.isInPlace(this.#database.commits, mark.commit))
      return { lsn: mark.commit.lsn, keepsBefore: markRules.keepsBefore(mark.writtenAt, mark.deliveredAt) }
    this.#newest = undefined
    this.#written = undefined
    return undefined
  }
}

/** What a log must not do with marks, as a function, so that the simulation can plant it. */
export const markRules = {
  /** Another history may have something else at its place. */
  isInPlace(commits: readonly Written[], mark: Written): boolean {
    return commits.includes(mark)
  },
  /** What was filled when it was under way may show what lies behind it. */
  keepsBefore(writtenAt: number, _deliveredAt: number): number {
    return writtenAt
  },
}
