import { isStartSeen, isVisible, type Snapshot, type StartProof } from 'tidemark'
import type { Waiting } from './holds.js'
import type { Transaction } from './transaction.js'
import { widenXid } from './xid.js'

/** So many commits are remembered one by one until they are seen; of later ones the highest id. */
const UNSEEN_MAX = 10_000

/** A commit that a slot has delivered, and that no snapshot has shown yet. */
interface Unseen {
  /** All before it ends at or before this place. */
  readonly before: number
  xid: number
  /** It stands for others too, of lower ids. */
  isMany: boolean
}

/** Who is told what new snapshots show, and can ask. */
export interface Snapshots {
  /** The highest xmax seen. */
  readonly xmax: number
  /** Calls back with each snapshot; returns how to end that. */
  watch(seen: (snapshot: Snapshot) => void): () => void
  probe(): Promise<unknown>
}

/**
 * How far a slot may be acknowledged so that whoever takes it up there has nothing to prove: up to where a snapshot has shown all that
 * lies before. PostgreSQL sends a commit before it shows it, and what is acknowledged is never sent again.
 */
export class ProvenPlace {
  readonly #snapshots: Snapshots
  readonly #unwatch: () => void
  #start: StartProof
  #readTo = 0
  /** In the order of the log. */
  #unseen: Unseen[] = []
  readonly #waiting: Waiting | undefined
  /** What has to come again to whoever takes the slot up next. */
  #mark: { readonly before: number; readonly holds: () => boolean } | undefined

  /**
   * @param start  what must be seen of all that lies before the slot's own place
   * @param waiting  what else must have it
   */
  constructor(snapshots: Snapshots, start: StartProof, waiting?: Waiting) {
    this.#snapshots = snapshots
    this.#waiting = waiting
    this.#start = start
    this.#unwatch = snapshots.watch((snapshot) => this.#saw(snapshot))
  }

  /** 0: nothing can be said yet, or there is nothing new. */
  get lsn(): number {
    if (!this.isStartSeen) return 0
    const proven = this.#unseen[0]?.before ?? this.#readTo
    const place = this.#mark?.holds() ? Math.min(proven, this.#mark.before) : proven
    return this.#waiting ? this.#waiting.within(place) : place
  }

  /** Who has not yet got all that was read. */
  get waitsFor(): string[] {
    return this.#waiting?.behind(this.#readTo) ?? []
  }

  /** Of the commit that is told next nothing may be acknowledged while `holds`. */
  mark(holds: () => boolean): void {
    this.#mark = { before: this.#readTo, holds }
  }

  /** All before the slot's own place was seen: what the server has as acknowledged is proven. */
  get isStartSeen(): boolean {
    return this.#start.kind === 'visible'
  }

  /** The slot delivered a commit. */
  committed({ endLsn, xid: xid32 }: Pick<Transaction, 'endLsn' | 'xid'>): void {
    const xid = widenXid(xid32, this.#snapshots.xmax)
    const last = this.#unseen.at(-1)
    if (last && this.#unseen.length >= UNSEEN_MAX) {
      last.xid = Math.max(last.xid, xid)
      last.isMany = true
    } else this.#unseen.push({ before: this.#readTo, xid, isMany: false })
    this.#readTo = Math.max(this.#readTo, endLsn)
  }

  /** The slot has delivered every commit up to here. */
  passed(lsn: number): void {
    this.#readTo = Math.max(this.#readTo, lsn)
  }

  /** Asks what can be seen, if something was not yet: nobody else may have a reason to. */
  ask(): void {
    if (this.isStartSeen && this.#unseen.length === 0) return
    this.#snapshots.probe().catch(() => {
      // The source is down: what it shows is asked again.
    })
  }

  /** The slot is not read any more. */
  end(): void {
    this.#unwatch()
  }

  #saw(snapshot: Snapshot): void {
    if (isStartSeen(this.#start, snapshot)) this.#start = { kind: 'visible' }
    if (this.#unseen.length === 0) return
    this.#unseen = this.#unseen.filter(({ xid, isMany }) => (isMany ? snapshot.xmin <= xid : !isVisible(xid, snapshot)))
  }
}
