import type { Clock } from '../clock.js'
import type { Counters } from '../counters.js'
import type { Dependency } from '../dependencies/dependency.js'
import type { Follower } from '../follow/follower.js'
import type { Change, Commit } from '../log/change.js'
import type { Keyspace } from '../read/keyspace.js'
import { sessionText } from '../read/keyspaces.js'
import type { L2, L2Entry, L2Fill, L2Read } from '../tiers/l2.js'
import type { SlotKey } from '../tiers/space.js'
import { meantBy, stampsOf } from '../tiers/stamps.js'
import { versionRules } from './fingerprint.js'
import { type Lease, Leases } from './leases.js'
import { L2Sender } from './sender.js'

/** More fills than this do not wait for L2; what is beyond stays in L1 only. */
const FILLS_MAX = 10_000
/** Of more loaders of `get` keys it is not remembered which these were. */
const PLAIN_LOADS_MAX = 16

export interface SharedOptions {
  readonly l2: L2
  readonly follower: Follower
  readonly clock: Clock
  readonly counters: Counters
  readonly maxSilenceMs: number
  readonly changesMax: number
  /** What computes the values; processes of another one leave each other's entries alone. */
  readonly version: string
}

/** An entry that L2 had, and that nothing known here contradicts. */
export interface Shared {
  readonly value: unknown
  readonly lsn: number
  readonly dependencies: readonly Dependency[]
  /** Monotonic ms. */
  readonly filledAt: number
  readonly lifetimeMs: number
  /** This process's tidemark when it was held against the changes: where that has moved, one may have been missed. */
  readonly judgedAt: number
}

/** What is kept, and goes to L2 too. */
export interface Keeping {
  readonly value: unknown
  readonly lsn: number
  readonly dependencies: readonly Dependency[]
  /** Its own key is one more. */
  readonly itself: Dependency
  readonly filledAt: number
  readonly lifetimeMs: number
}

/**
 * What comes of asking L2: an entry; that another process loads the key; that this one should, and with which right. Meanwhile grace may
 * serve what L2 has, if it only `expired`.
 */
export type Found =
  | { readonly kind: 'shared'; readonly shared: Shared }
  | { readonly kind: 'held'; readonly expired?: Shared }
  | { readonly kind: 'load'; readonly lease: Lease | undefined; readonly expired?: Shared }

/** An entry that is looked for. */
export interface Sought {
  readonly name: string
  readonly space: Keyspace
  readonly key: SlotKey
}

/** What was kept, on its way to L2. */
interface Outgoing {
  readonly name: string
  readonly keeping: Keeping
  readonly epoch: string
  /** Who lets go of the lease of the key, if this process has it. */
  readonly holder: string | undefined
}

/** How things stood when L2 was asked. */
interface Asking {
  readonly epoch: string
  readonly generation: number
  /** Monotonic ms. */
  readonly at: number
}

/** So many are asked for, and sent, at once: L2 has to answer within its deadline. */
const AT_ONCE_MAX = 1_000

const LOAD: Found = { kind: 'load', lease: undefined }
const HELD: Found = { kind: 'held' }

/** A cache that was closed holds the log back for so long at most. */
const HOLD_CLOSED_MS = 10_000

/** The cache's side of L2: what is believed of it, and what it is told. */
export class SharedTier {
  readonly #options: SharedOptions
  readonly #sender: L2Sender
  readonly #release: () => void
  readonly #acknowledge: (() => void) | undefined
  readonly #names = new WeakMap<Keyspace, string>()
  /** Fingerprints of what loaded or set `get` keys. */
  readonly #plainLoads = new Set<string>()
  /** What is on its way to L2; of each name the last. */
  readonly #stores = new Map<string, Outgoing>()
  /** What is to be sent. */
  #outbox: Outgoing[] = []
  /** How many were sent and are not answered. */
  #sending = 0
  readonly #leases: Leases
  #isClosed = false

  constructor(options: SharedOptions) {
    this.#options = options
    const { l2, follower, clock, counters, maxSilenceMs, changesMax } = options
    const epoch = (): string | undefined => this.#epoch
    this.#sender = new L2Sender({ l2, follower, clock, counters, everyMs: maxSilenceMs / 3, changesMax, epoch })
    this.#leases = new Leases({ l2, clock, counters, isStoring: (name) => this.#stores.has(name) })
    const hold = { name: 'l2', upTo: () => this.#sender.m, isBounded: true }
    this.#acknowledge = follower.log.hold?.(hold)
    this.#release = follower.holdFor(this.#sender)
    // Another cache on the same source may have begun to follow it long ago.
    if (follower.isFollowing) this.#sender.started()
  }

  started(): void {
    this.#sender.started()
  }

  applied(commit: Commit): void {
    this.#sender.applied(commit)
  }

  /** How far L2 has applied the log, as far as this process knows; 0 while it does not. */
  get m(): number {
    return this.#sender.m
  }

  /** What an entry is called in L2. */
  nameOf(space: Keyspace, key: SlotKey, load: object, version = ''): string {
    const fingerprint = versionRules.fingerprint(load, version)
    if (space.name === undefined && this.#plainLoads.size <= PLAIN_LOADS_MAX) this.#plainLoads.add(fingerprint)
    return `${this.#nameOfSpace(space)}${fingerprint}${space.text(key)}`
  }

  /** What the entries of a `get` key may be called, by the loaders that were used here; undefined where these were too many. */
  plainNamesOf(space: Keyspace, key: SlotKey): string[] | undefined {
    if (this.#plainLoads.size > PLAIN_LOADS_MAX) return undefined
    const [name, text] = [this.#nameOfSpace(space), space.text(key)]
    return [...this.#plainLoads].map((fingerprint) => `${name}${fingerprint}${text}`)
  }

  #nameOfSpace(space: Keyspace): string {
    let name = this.#names.get(space)
    if (name === undefined) {
      name = JSON.stringify([this.#options.version, space.tenant, space.name ?? null, sessionText(space.session)])
      this.#names.set(space, name)
    }
    return name
  }

  /** Takes out of L2 what a change at `lsn` has dropped under these names; how many entries that were, undefined where it can't be known. */
  async remove(names: readonly string[], lsn: number): Promise<number | undefined> {
    const { l2, counters } = this.#options
    const epoch = this.#epoch
    if (!l2.remove || epoch === undefined || this.#isClosed) return undefined
    try {
      return await l2.remove(names, { epoch, lsn })
    } catch {
      counters.l2Errors++
      return undefined
    }
  }

  /**
   * The entry as L2 has it, valid as of this process's tidemark; else whether this process is to load it. Who asked L2 in vain loads: it is
   * not asked a second time. Never rejects.
   */
  async find(name: string, space: Keyspace, key: SlotKey): Promise<Found> {
    const { l2, counters } = this.#options
    const asking = this.#asking()
    if (!asking) return this.#lease(name)
    let read: L2Read
    try {
      read = await l2.read(name, l2.lease && this.#leases.lessee)
    } catch {
      counters.l2Errors++
      return LOAD
    }
    return this.#found(read, { name, space, key }, asking)
  }

  /** The same for many, in their order: they are asked for together, so many at once as L2 answers in time. */
  async findAll(sought: readonly Sought[]): Promise<Found[]> {
    const { l2, counters } = this.#options
    const found: Found[] = []
    for (let i = 0; i < sought.length; i += AT_ONCE_MAX) {
      const part = sought.slice(i, i + AT_ONCE_MAX)
      const asking = this.#asking()
      if (!asking || !l2.readAll) {
        found.push(...(await Promise.all(part.map(({ name, space, key }) => this.find(name, space, key)))))
        continue
      }
      try {
        const names = part.map(({ name }) => name)
        const reads = await l2.readAll(names, l2.lease && this.#leases.lessee)
        const judged = reads.map((read, j) => {
          if (read) return this.#found(read, part[j]!, asking)
          counters.l2Errors++
          return LOAD
        })
        const isLater = judged.some((each) => each instanceof Promise)
        found.push(...(isLater ? await Promise.all(judged) : (judged as Found[])))
      } catch {
        counters.l2Errors += part.length
        for (const _ of part) found.push(LOAD)
      }
    }
    return found
  }

  /** As of when it is asked; undefined where it is not. */
  #asking(): Asking | undefined {
    const { clock, follower } = this.#options
    const epoch = this.#epoch
    if (this.#isClosed || epoch === undefined || !follower.isFollowing) return undefined
    return { epoch, generation: follower.generation, at: clock.now() }
  }

  #found(found: L2Read, { name, space, key }: Sought, asking: Asking): Found | Promise<Found> {
    const { counters, follower } = this.#options
    const { epoch, generation } = asking
    const { tide, entry } = found
    if (tide?.epoch === epoch && generation === follower.generation) this.#sender.stands(tide.m)
    if (!entry) {
      counters.l2Misses++
      if (found.isLeased === undefined) return this.#lease(name)
      return found.isLeased ? this.#leased(name) : HELD
    }
    const own: Dependency[] = [...entry.dependencies, { kind: 'key', tenant: space.tenant, key: space.text(key) }]
    const isBelieved = (): boolean =>
      tide?.epoch === epoch &&
      epoch === this.#epoch &&
      generation === follower.generation &&
      follower.isFollowing &&
      !follower.isBehind &&
      beliefRules.isBelieved(follower, entry, tide.m, own) &&
      !beliefRules.isMeant(found.patterns, own)
    if (!isBelieved()) {
      counters.l2Disbelieved++
      return this.#lease(name)
    }
    const { value, lsn, dependencies, ageMs, remainingMs } = entry
    const judgedAt = follower.tidemark
    // The answer was made after it was asked for: counted from there it is no younger than it is.
    const times = { filledAt: asking.at - ageMs, lifetimeMs: ageMs + remainingMs }
    const shared = { value, lsn, dependencies, ...times, judgedAt }
    if (!beliefRules.isExpired(follower, found, tide!.m, own)) return { kind: 'shared', shared }
    counters.l2Misses++
    return this.#lease(name).then((next) => {
      // Something may have dropped it meanwhile.
      if (next.kind === 'shared' || !isBelieved()) return next
      return { ...next, expired: { ...shared, judgedAt: follower.tidemark } }
    })
  }

  /** Sends what was kept to L2, behind the reader's back: together what is kept in one turn. */
  kept(name: string, keeping: Keeping): void {
    const epoch = this.#epoch
    if (epoch === undefined || this.#isClosed) return
    if (this.#outbox.length + this.#sending >= FILLS_MAX) {
      this.#options.counters.l2Refused++
      return
    }
    const outgoing = { name, keeping, epoch, holder: this.#leases.holderOf(name) }
    this.#stores.set(name, outgoing)
    this.#outbox.push(outgoing)
    if (this.#outbox.length === 1) queueMicrotask(() => this.#sendKept())
  }

  /** So many at once as L2 answers in time. */
  #sendKept(): void {
    const { l2 } = this.#options
    const sent = this.#isClosed ? [] : this.#outbox.splice(0, AT_ONCE_MAX - this.#sending)
    if (sent.length === 0) return
    this.#sending += sent.length
    const entries = sent.map((outgoing) => ({ key: outgoing.name, fill: this.#fillOf(outgoing) }))
    if (l2.fillAll) {
      l2.fillAll(entries).then(
        (outcomes) => this.#sent(sent, outcomes),
        () => this.#sent(sent, []),
      )
      return
    }
    for (const [i, { key, fill }] of entries.entries()) {
      const one = [sent[i]!]
      l2.fill(key, fill).then(
        (outcome) => this.#sent(one, [outcome]),
        () => this.#sent(one, []),
      )
    }
  }

  #fillOf({ keeping, epoch, holder }: Outgoing): L2Fill {
    const { value, lsn, dependencies, itself, lifetimeMs } = keeping
    const ageMs = this.#options.clock.now() - keeping.filledAt
    const stamps = stampsOf([...dependencies, itself])
    const entry = { epoch, value, lsn, dependencies, stamps, ageMs, remainingMs: lifetimeMs - ageMs }
    return holder === undefined ? entry : { ...entry, holder }
  }

  #sent(sent: readonly Outgoing[], outcomes: readonly ('stored' | 'refused' | undefined)[]): void {
    const { counters } = this.#options
    this.#sending -= sent.length
    for (const [i, outgoing] of sent.entries()) {
      const { name, holder } = outgoing
      const outcome = outcomes[i]
      if (outcome === 'stored') counters.l2Stored++
      else if (outcome === 'refused') counters.l2Refused++
      else counters.l2Errors++
      if (this.#stores.get(name) === outgoing) this.#stores.delete(name)
      // Stored, it let go by itself.
      if (outcome !== 'stored' && holder !== undefined) this.#leases.letGo(name)
    }
    this.#sendKept()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#leases.close()
    this.#release()
    // What L2 was not told yet must come again to whoever takes the log up next; others may go on with this one.
    const { clock, follower } = this.#options
    if (this.#sender.m >= follower.tidemark) this.#acknowledge?.()
    else if (this.#acknowledge) clock.after(HOLD_CLOSED_MS, this.#acknowledge)
    this.#sender.close()
    await this.#options.l2.close()
  }

  /** Asks to be the one process that loads the key. */
  async #lease(name: string): Promise<Found> {
    if (!this.#options.l2.lease || this.#isClosed) return LOAD
    return (await this.#leases.ask(name)) ? this.#leased(name) : HELD
  }

  #leased(name: string): Found {
    return { kind: 'load', lease: this.#leases.take(name) }
  }

  /** Processes share L2 if they follow the same history through logs that deliver the same. */
  get #epoch(): string | undefined {
    const { log, epoch } = this.#options.follower
    return epoch === undefined ? undefined : epochRules.name(epoch, log.name)
  }
}

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const epochRules = {
  /** Names the history that positions belong to, and the log that delivers it. */
  name(epoch: string, log: string | undefined): string {
    return JSON.stringify([epoch, log ?? null])
  },
}

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const beliefRules = {
  /** Whether this process knows all changes after what L2 has applied and the entry holds for, and none of them drops it. */
  isBelieved(follower: Follower, entry: L2Entry, m: number, dependencies: readonly Dependency[]): boolean {
    const from = Math.max(m, entry.lsn)
    if (from < follower.ring.from) return false
    return !follower.ring.firstTouching(
      dependencies,
      (record) => record.lsn > from,
      (change) => !isExpiry(change),
    )
  },
  /** Whether one of the patterns that L2 has later than the entry drops it. */
  isMeant(patterns: readonly string[] | undefined, dependencies: readonly Dependency[]): boolean {
    return patterns?.some((pattern) => meantBy(pattern, dependencies) === 'drop') ?? false
  },
  /** Whether something lets it expire: an expiry that L2 knows, or one of after what it has applied. */
  isExpired(follower: Follower, found: L2Read, m: number, dependencies: readonly Dependency[]): boolean {
    if (found.isExpired || found.patterns?.some((pattern) => meantBy(pattern, dependencies) === 'expire')) return true
    const from = Math.max(m, found.entry!.lsn)
    return follower.ring.firstTouching(dependencies, (record) => record.lsn > from, isExpiry) !== undefined
  },
}

function isExpiry(change: Change): boolean {
  return change.kind === 'target' && change.mode === 'expire'
}
