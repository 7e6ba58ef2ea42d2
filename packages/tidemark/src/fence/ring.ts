import { listOf } from '../arrays.js'
import type { Dependency } from '../dependencies/dependency.js'
import { touches } from '../dependencies/match.js'
import type { InLine } from '../line.js'
import type { Change, Commit } from '../log/change.js'

/** A commit as the ring keeps it: what it was, and when this process applied it and saw it proven. */
export interface RingRecord extends InLine<RingRecord> {
  readonly lsn: number
  readonly xid: number | undefined
  readonly changes: readonly Change[]
  /** Monotonic ms. */
  readonly appliedAt: number
  /** The tick at which a snapshot showed it visible; Infinity while unproven. */
  provenAt: number
}

export interface RingLimits {
  readonly changesMax: number
  readonly rowsMax: number
}

/**
 * The recent changes, oldest first: enough to judge every fill that runs (rules Fence, Reader, Proof), and no more (Trim).
 * It keeps what a change was, not what it resolved to: a fill in flight may bring a shape that no entry had.
 */
export class Ring {
  readonly #limits: RingLimits
  /** Up to `#head` there is none. */
  #records: (RingRecord | undefined)[] = []
  #head = 0
  #changes = 0
  /** The end of what has left: a fill that would need changes at or before this is not believed. */
  from = 0
  /** When the last record that left had been applied; -Infinity while nothing left. */
  fromAppliedAt = Number.NEGATIVE_INFINITY
  /** The highest transaction id of what has left; -1 if none had one. */
  fromXid = -1

  constructor(limits: RingLimits) {
    this.#limits = limits
  }

  get changes(): number {
    return this.#changes
  }

  reset(lsn: number, now: number): void {
    this.#records = []
    this.#head = 0
    this.#changes = 0
    this.from = lsn
    this.fromAppliedAt = now
    this.fromXid = -1
  }

  /** Adds a commit; returns the records that had to leave for room, whatever fills may need them. */
  push(commit: Commit, appliedAt: number, provenAt: number): { record: RingRecord; gone: RingRecord[] } {
    const changes = commit.changes.length > this.#limits.rowsMax ? asTables(commit.changes) : commit.changes
    const record: RingRecord = {
      lsn: commit.lsn,
      xid: commit.xid,
      changes,
      appliedAt,
      provenAt,
      before: undefined,
      after: undefined,
    }
    this.#records.push(record)
    this.#changes += changes.length
    const gone: RingRecord[] = []
    while (this.#changes > this.#limits.changesMax && this.#head < this.#records.length) gone.push(this.#shift())
    return { record, gone }
  }

  /**
   * Rule Trim: a change leaves when it is proven and every running fill began after that proof.
   *
   * @param oldestBegan  the tick at which the oldest running fill began; Infinity if none runs
   * @param appliedBefore  what was applied later stays, for sources that lag (monotonic ms)
   * @param l2  what L2 has not applied stays, as its entries are held against it, if it was applied after `since` (monotonic ms)
   */
  trim(
    oldestBegan: number,
    appliedBefore: number,
    l2: { readonly m: number; readonly since: number } | undefined,
  ): void {
    while (this.#head < this.#records.length) {
      const record = this.#records[this.#head]!
      if (
        record.provenAt >= oldestBegan ||
        record.provenAt === Number.POSITIVE_INFINITY ||
        record.appliedAt > appliedBefore ||
        (l2 && record.lsn > l2.m && record.appliedAt > l2.since)
      )
        return
      this.#shift()
    }
  }

  /** The first record, oldest first, that `counts` and of which a change that `matters` touches one of the dependencies. */
  firstTouching(
    dependencies: readonly Dependency[],
    counts: (record: RingRecord) => boolean,
    matters: (change: Change) => boolean = () => true,
  ): RingRecord | undefined {
    for (let i = this.#head; i < this.#records.length; i++) {
      const record = this.#records[i]!
      if (counts(record) && recordTouches(record, dependencies, matters)) return record
    }
    return undefined
  }

  /** All records, oldest first, for which `wanted` holds. */
  select(wanted: (record: RingRecord) => boolean): RingRecord[] {
    const selected = listOf<RingRecord>()
    for (let i = this.#head; i < this.#records.length; i++)
      if (wanted(this.#records[i]!)) selected.push(this.#records[i]!)
    return selected
  }

  #shift(): RingRecord {
    const record = this.#records[this.#head]!
    this.#records[this.#head] = undefined
    this.#head++
    this.#changes -= record.changes.length
    this.from = record.lsn
    this.fromAppliedAt = record.appliedAt
    if (record.xid !== undefined && record.xid > this.fromXid) this.fromXid = record.xid
    if (this.#head > 1024 && this.#head * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#head)
      this.#head = 0
    }
    return record
  }
}

export function recordTouches(
  record: RingRecord,
  dependencies: readonly Dependency[],
  matters: (change: Change) => boolean = () => true,
): boolean {
  for (const change of record.changes) {
    if (!matters(change)) continue
    for (const dependency of dependencies) if (touches(dependency, change)) return true
  }
  return false
}

function asTables(changes: readonly Change[]): Change[] {
  const tables = new Set<string>()
  const kept: Change[] = []
  for (const change of changes) {
    if (change.kind === 'row') tables.add(change.table)
    else kept.push(change)
  }
  for (const table of tables) kept.push({ kind: 'table', table, reason: 'large' })
  return kept
}
