import type { Change, Commit, Log, LogListener, LogStart, LogStatus, Probe, RelaySource, Snapshot } from 'tidemark'

/** A source whose log and snapshots the test writes: transactions may be visible later than they are in the log. */
export class ScriptedSource {
  epoch = 'e1'
  end = 100
  readonly commits: Commit[] = []
  readonly hidden = new Set<number>()
  #nextXid = 1_000
  readonly logs = new Set<ScriptedLog>()

  /** Commits a row; it is hidden until `show`, if asked so. Returns its transaction id. */
  commit(table: string, isHidden = false): number {
    const xid = this.#nextXid++
    if (isHidden) this.hidden.add(xid)
    this.commitChanges([{ kind: 'row', op: 'insert', table, old: null, new: { id: `${xid}` } }], xid)
    return xid
  }

  commitChanges(changes: readonly Change[], xid = this.#nextXid++): void {
    this.end += 10
    this.commits.push({ lsn: this.end, xid, committedAt: Date.now(), changes })
    for (const log of this.logs) log.deliver()
  }

  /** WAL that concerns nobody. */
  advance(): void {
    this.end += 5
    for (const log of this.logs) log.deliver()
  }

  get snapshot(): Snapshot {
    const xmax = this.#nextXid
    return { xmin: Math.min(xmax, ...this.hidden), xmax, running: new Set(this.hidden) }
  }

  ownTransaction(): number {
    return this.#nextXid++
  }
}

/** What reads the source's log, as the leader does. */
export class ScriptedLog implements Log {
  name = 'scripted'
  readonly #source: ScriptedSource
  #listener: LogListener | undefined
  #position: number
  isHeldUp = false

  constructor(source: ScriptedSource, from = source.end) {
    this.#source = source
    this.#position = from
  }

  follow(listener: LogListener): void {
    this.#listener = listener
    this.#source.logs.add(this)
    this.start({ epoch: this.#source.epoch, lsn: this.#position, proof: { kind: 'visible' } })
  }

  start(start: LogStart): void {
    this.#position = start.lsn
    this.#listener!.started(start)
    this.deliver()
  }

  deliver(): void {
    if (this.isHeldUp) return
    for (const commit of this.#source.commits) {
      if (commit.lsn <= this.#position) continue
      this.#position = commit.lsn
      this.#listener!.commit(commit)
    }
    if (this.#source.end > this.#position) {
      this.#position = this.#source.end
      this.#listener!.progress(this.#position)
    }
  }

  async probe(): Promise<Probe> {
    return { snapshot: this.#source.snapshot, flushed: this.#source.end }
  }

  nudge(): void {}
  async append(): Promise<void> {}
  async visible(): Promise<boolean> {
    return false
  }

  status(): LogStatus {
    return { state: 'following', reason: '' }
  }

  async close(): Promise<void> {
    this.#source.logs.delete(this)
  }
}

/** A follower's own connection to it. */
export function connectionTo(source: ScriptedSource): RelaySource {
  let pinned: string | undefined
  return {
    async pin(epoch, name) {
      if (epoch !== source.epoch) return 'it is of another server'
      if (name !== 'scripted') return `it is of ${name}, and this process follows scripted`
      pinned = epoch
      return undefined
    },
    async probe() {
      if (pinned !== source.epoch) throw new Error('another history')
      return { snapshot: source.snapshot, flushed: source.end }
    },
    append: async () => {},
    visible: async ({ lsn }) => lsn <= source.end,
    ownTransaction: async () => source.ownTransaction(),
    async beat() {
      source.advance()
    },
    close: async () => {},
  }
}
