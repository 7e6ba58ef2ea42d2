import type { Change, Commit, Image, Mode, RowChange, TargetChange } from '../../log/change.js'
import type { Snapshot } from '../../log/log.js'

/** A row: `group` is a post's author, or a comment's post. */
export interface RowState {
  readonly id: number
  readonly group: number
  /** What else it says: another with each write. */
  readonly text: number
}

/** What a commit made of an invalidation's target: `name` is at `version` outside of the database. */
export interface ExternalChange {
  readonly name: string
  readonly version: number
  readonly mode: Mode
}

/** A transaction: open, or committed (`lsn` is set) and perhaps hidden, as behind a synchronous standby. */
export interface Written extends Commit {
  /** Never used twice, also across restores: it names what the commit made of each of its rows. */
  readonly serial: number
  readonly xid: number
  readonly rows: ReadonlyMap<number, RowState | null>
  readonly externals: readonly ExternalChange[]
  /** True time at which it was flushed. */
  readonly flushedMs: number
  isVisible: boolean
}

interface Open {
  readonly xid: number
  readonly rows: Map<number, RowState | null>
  readonly changes: Change[]
}

interface RowVersion {
  readonly commit: Written | undefined
  readonly serial: number
  readonly state: RowState | null
}

/** Which rows a query reads: a whole table, one id, one group, or the groups from one on. */
export interface Condition {
  readonly table: string
  readonly by: 'all' | 'id' | 'group' | 'from'
  readonly value: number
  /** It answers which rows there are, and nothing else of them. */
  readonly isListing?: boolean
}

export const TABLES = ['public.posts', 'public.comments'] as const
export const IDS = 3
export const ROWS = TABLES.length * IDS
/** What a table's `group` column is called. */
export const GROUPS: Record<string, string> = { 'public.posts': 'author', 'public.comments': 'post' }

const LSN_STEP = 16

/**
 * The source of truth, as PostgreSQL shows it: a row is locked until its last change is visible; a commit is in the log before new
 * snapshots see it, or long after others that were committed later are seen.
 */
export class Database {
  readonly #hasOldValues: ReadonlyMap<string, boolean>
  /** The history of this epoch, in the log's order. */
  commits: Written[] = []
  readonly #versions: RowVersion[][] = []
  #invalidations: Written[] = []
  #open: Open[] = []
  #externals = new Map<string, number>()
  #nextXid = 100
  #highestFinished = 99
  #nextSerial = 1
  #nextText = 1
  epochs = 1
  /** The end of the log. */
  end = 1_000
  /** True time of the last restore. */
  restoredMs = Number.NEGATIVE_INFINITY

  /** @param hasOldValues by table: whether its replica identity is FULL */
  constructor(hasOldValues: ReadonlyMap<string, boolean>) {
    this.#hasOldValues = hasOldValues
    for (let row = 0; row < ROWS; row++) {
      const id = (row % IDS) + 1
      const state = id === IDS ? null : { id, group: id, text: 0 }
      this.#versions.push([{ commit: undefined, serial: 0, state }])
    }
  }

  get epoch(): string {
    return `sim-${this.epochs}`
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────

  get openCount(): number {
    return this.#open.length
  }

  get hidden(): Written[] {
    return this.commits.filter((commit) => !commit.isVisible)
  }

  /** Begins a transaction that holds a transaction id. */
  begin(): void {
    this.#open.push({ xid: this.#nextXid++, rows: new Map(), changes: [] })
  }

  /** Rows that no transaction holds. */
  get free(): number[] {
    const free: number[] = []
    for (let row = 0; row < ROWS; row++) {
      const last = this.#versions[row]!.at(-1)!
      const isHeld = last.commit?.isVisible === false || this.#open.some((open) => open.rows.has(row))
      if (!isHeld) free.push(row)
    }
    return free
  }

  /** Writes a row in an open transaction. `hidesGroup`: an unchanged group is not sent, as an unchanged TOAST value is not. */
  write(which: number, row: number, written: Omit<RowState, 'text'> | null, hidesGroup: boolean): void {
    const open = this.#open[which]!
    const state = written && { ...written, text: this.#nextText++ }
    const before = this.#versions[row]!.at(-1)!.state
    if (before === null && state === null) return
    open.rows.set(row, state)
    open.changes.push(this.#rowChange(tableOf(row), before, state, hidesGroup))
  }

  /** Empties a table, if no transaction holds one of its rows. */
  truncate(which: number, table: string): boolean {
    const rows = rowsOf(table)
    const free = this.free
    if (rows.some((row) => !free.includes(row))) return false
    for (const row of rows) this.#open[which]!.rows.set(row, null)
    this.#open[which]!.changes.push({ kind: 'table', table, reason: 'truncate' })
    return true
  }

  /** Something about the whole source changed, no row among it. */
  everything(which: number): void {
    this.#open[which]!.changes.push({ kind: 'everything', reason: 'the catalogue changed' })
  }

  commit(which: number, trueMs: number): Written {
    const [open] = this.#open.splice(which, 1)
    return this.#flush(open!.xid, open!.changes, open!.rows, [], trueMs)
  }

  rollback(which: number): void {
    const [open] = this.#open.splice(which, 1)
    this.#highestFinished = Math.max(this.#highestFinished, open!.xid)
  }

  /** Writes an invalidation into the log, in a transaction of its own. */
  append(change: TargetChange, externals: readonly ExternalChange[], trueMs: number): Written {
    return this.#flush(this.#nextXid++, [change], new Map(), externals, trueMs)
  }

  /** A transaction that changes nothing, to see what is before it. @returns its id */
  heartbeat(trueMs: number): number {
    return this.#flush(this.#nextXid++, [], new Map(), [], trueMs).xid
  }

  /** The same, as a place by which the history is known again. */
  mark(trueMs: number): Written {
    return this.#flush(this.#nextXid++, [], new Map(), [], trueMs)
  }

  show(commit: Written): void {
    commit.isVisible = true
    this.#highestFinished = Math.max(this.#highestFinished, commit.xid)
  }

  /**
   * The server comes back from an older copy of its files: the history ends after `kept` commits and goes on as another one. What was
   * open is gone, what is kept is visible.
   */
  restore(kept: number, trueMs: number): void {
    const gone = new Set(this.commits.splice(kept))
    for (const versions of this.#versions) {
      while (versions.at(-1)!.commit && gone.has(versions.at(-1)!.commit!)) versions.pop()
    }
    this.#invalidations = this.#invalidations.filter((commit) => !gone.has(commit))
    this.#open = []
    for (const commit of this.commits) commit.isVisible = true
    this.#highestFinished = this.#nextXid - 1
    this.end = this.commits.at(-1)?.lsn ?? 1_000
    this.epochs++
    this.restoredMs = trueMs
  }

  #flush(
    xid: number,
    changes: readonly Change[],
    rows: ReadonlyMap<number, RowState | null>,
    externals: readonly ExternalChange[],
    flushedMs: number,
  ): Written {
    const prev = this.commits.at(-1)?.lsn
    this.end += LSN_STEP
    const commit: Written = {
      lsn: this.end,
      xid,
      committedAt: flushedMs,
      changes,
      serial: this.#nextSerial++,
      rows,
      externals,
      flushedMs,
      isVisible: false,
      ...(prev === undefined ? {} : { prev }),
    }
    this.commits.push(commit)
    if (externals.length > 0) this.#invalidations.push(commit)
    for (const [row, state] of rows) this.#versions[row]!.push({ commit, serial: commit.serial, state })
    return commit
  }

  #rowChange(table: string, before: RowState | null, after: RowState | null, hidesGroup: boolean): RowChange {
    const group = GROUPS[table]!
    const image = (state: RowState, isWhole: boolean): Image =>
      isWhole
        ? { id: String(state.id), [group]: String(state.group), text: String(state.text) }
        : { id: String(state.id) }
    const old = before && image(before, this.#hasOldValues.get(table) === true)
    const isSame = before !== null && before.group === after?.group
    const now = after && { ...image(after, !(hidesGroup && isSame)), text: String(after.text) }
    return { kind: 'row', op: before === null ? 'insert' : after === null ? 'delete' : 'update', table, old, new: now }
  }

  // ── what can be seen ───────────────────────────────────────────────────────────────────────────────────

  snapshot(): Snapshot {
    return this.#snapshotOf((commit) => commit.isVisible, this.#highestFinished + 1)
  }

  /** What the snapshot of a new slot sees: all that is in the log, hidden or not. */
  logSnapshot(): Snapshot {
    const xmax = this.commits.reduce((max, commit) => Math.max(max, commit.xid + 1), this.#highestFinished + 1)
    return this.#snapshotOf(() => true, xmax)
  }

  #snapshotOf(isSeen: (commit: Written) => boolean, xmax: number): Snapshot {
    const running = new Set<number>()
    for (const open of this.#open) if (open.xid < xmax) running.add(open.xid)
    for (const commit of this.commits) if (commit.xid < xmax && !isSeen(commit)) running.add(commit.xid)
    return { xmin: running.size > 0 ? Math.min(...running) : xmax, xmax, running }
  }

  /** For each row, the serial of the version that a new snapshot sees. */
  seenNow(): number[] {
    return this.#versions.map(
      (versions) => versions.findLast((version) => version.commit?.isVisible !== false)?.serial ?? 0,
    )
  }

  /** For each row, the serial of its version as the log up to `lsn` made it, as a replica or a search index has it. */
  seenAt(lsn: number): number[] {
    return this.#versions.map((_, row) => this.versionAt(row, lsn).serial)
  }

  /** The last position that was flushed at or before this time. */
  flushedAt(trueMs: number): number {
    return this.commits.findLast((commit) => commit.flushedMs <= trueMs)?.lsn ?? 0
  }

  external(name: string): number {
    return this.#externals.get(name) ?? 0
  }

  /** Something outside of the database changes; an invalidation will say so. */
  raise(name: string): number {
    const version = this.external(name) + 1
    this.#externals.set(name, version)
    return version
  }

  // ── what is true ───────────────────────────────────────────────────────────────────────────────────────

  versionAt(row: number, lsn: number): { readonly serial: number; readonly state: RowState | null } {
    return this.#versions[row]!.findLast((version) => (version.commit?.lsn ?? 0) <= lsn)!
  }

  /** The version of this serial; undefined if it is not of this epoch's history. */
  version(row: number, serial: number): { readonly serial: number; readonly state: RowState | null } | undefined {
    return this.#versions[row]!.find((version) => version.serial === serial)
  }

  /** Where this history has the version of this serial; undefined if it does not. */
  writtenAt(row: number, serial: number): number | undefined {
    return this.#versions[row]!.find((version) => version.serial === serial)?.commit?.lsn
  }

  /** Commits of invalidations, in the log's order. */
  get invalidations(): readonly Written[] {
    return this.#invalidations
  }

  /** The first commit after `lsn`. */
  after(lsn: number): Written | undefined {
    return this.commits.find((commit) => commit.lsn > lsn)
  }
}

export function rowsOf(table: string): number[] {
  const first = TABLES.indexOf(table as (typeof TABLES)[number]) * IDS
  return Array.from({ length: IDS }, (_, i) => first + i)
}

function tableOf(row: number): string {
  return TABLES[Math.floor(row / IDS)]!
}

export function matches(condition: Condition, state: RowState | null): boolean {
  if (state === null) return false
  if (condition.by === 'all') return true
  if (condition.by === 'from') return state.group >= condition.value
  return state[condition.by] === condition.value
}
