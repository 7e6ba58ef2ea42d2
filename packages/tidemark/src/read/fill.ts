import type { Counters } from '../counters.js'
import type { Dependency } from '../dependencies/dependency.js'
import type { About } from '../dependencies/lookup.js'
import type { Partners, PartnersByTable } from '../dependencies/partners.js'
import type { RunningFill } from '../follow/running-fill.js'
import type { NotKept, Reading, Session } from '../source.js'
import type { Floor } from './floor.js'
import type { Loading } from './loading.js'

/** What a nested read hands to the entry that is being computed from it (design.md, Nested entries). */
export class Inherited {
  readonly tenant: string
  readonly key: string
  readonly dependencies: readonly Dependency[]
  /** Whether L1 handed them out: each is the same object from whoever has it. */
  readonly areHanded: boolean
  /** When the inner entry expires (monotonic ms); Infinity if it does not. */
  readonly expiresAt: number
  /** Set if the inner answer was stale or fenced. */
  readonly unkept: 'stale' | 'fenced' | undefined

  constructor(
    tenant: string,
    key: string,
    dependencies: readonly Dependency[],
    areHanded: boolean,
    expiresAt: number,
    unkept: 'stale' | 'fenced' | undefined,
  ) {
    this.tenant = tenant
    this.key = key
    this.dependencies = dependencies
    this.areHanded = areHanded
    this.expiresAt = expiresAt
    this.unkept = unkept
  }
}

/** One run of a loader: what it read, and whether the result may be kept. */
export class Fill implements Reading {
  readonly loading: Loading
  /** What its strictest reader may take: so may its loader's reads. */
  readonly floor: Floor | undefined
  readonly tenant: string
  readonly session: Session | undefined
  readonly #counters: Counters
  /** By name; those that L1 handed out by themselves: it has the same object for the same dependency, so no names need be made. */
  readonly #dependencies = new Map<string | Dependency, Dependency>()
  /** By table; undefined: a row may matter without a partner. */
  #ways: Map<string, Set<Partners> | undefined> | undefined
  /** The earliest expiry of what it read (monotonic ms): a time, as the loader may go on for long after the read. */
  expiresAt = Number.POSITIVE_INFINITY
  unkeptReason: NotKept | undefined
  expiryReason: NotKept | undefined
  /** Something that it read was served stale: then so is what was computed from it. */
  isStale = false
  /** Of something else that it read nobody can tell how old it is: then neither of what was computed from it. */
  isFenced = false
  isEnded = false
  /** Which changes may leave the result as it is. */
  about: About | undefined
  /** Where it began, as the follower tracks it. */
  readonly running: RunningFill
  /** Monotonic ms. */
  readonly startedAt: number

  constructor(loading: Loading, floor: Floor | undefined, running: RunningFill, startedAt: number, counters: Counters) {
    this.loading = loading
    this.floor = floor
    this.running = running
    this.startedAt = startedAt
    this.tenant = loading.space.tenant
    this.session = loading.space.session
    this.#counters = counters
  }

  get signal(): AbortSignal {
    return this.loading.signal
  }

  /** What it both read itself and took over may be among them twice. */
  get dependencies(): Dependency[] {
    return Array.from(this.#dependencies.values())
  }

  get hasDependency(): boolean {
    return this.#dependencies.size > 0
  }

  /** The partners that rows of tables need. */
  get partners(): PartnersByTable | undefined {
    if (!this.#ways) return undefined
    const known = [...this.#ways].flatMap(([table, ways]) => (ways ? [[table, [...ways]] as const] : []))
    return known.length > 0 ? new Map(known) : undefined
  }

  depend(dependency: Dependency, ways?: readonly Partners[]): void {
    if (this.isEnded) return
    this.#pair(dependency, ways)
    this.#dependencies.set(nameOf(dependency), dependency)
  }

  dependOnHanded(dependency: Dependency): void {
    if (this.isEnded) return
    this.#pair(dependency, undefined)
    this.#dependencies.set(dependency, dependency)
  }

  /** What one read says of a table's rows is true of the entry only as far as the others say it too. */
  #pair(dependency: Dependency, ways: readonly Partners[] | undefined): void {
    if (!('table' in dependency) || (!ways && !this.#ways)) return
    this.#ways ??= new Map(this.dependencies.flatMap((each) => ('table' in each ? [[each.table, undefined]] : [])))
    const { table } = dependency
    const before = this.#ways.get(table)
    if (!ways) this.#ways.set(table, undefined)
    else if (before) for (const way of ways) before.add(way)
    else if (!this.#ways.has(table)) this.#ways.set(table, new Set(ways))
  }

  unkept(reason: NotKept): void {
    this.unkeptReason ??= reason
    if (reason !== 'nested') this.isFenced = true
  }

  needsExpiry(reason: NotKept): void {
    this.expiryReason ??= reason
  }

  readAsOf(lsn: number): void {
    if (lsn < this.running.seenTo) this.running.seenTo = lsn
    this.loading.follower.retain(REPLICA_RETAIN_MS)
  }

  coarse(_table: string, reason: string): void {
    this.#counters.coarse[reason] = (this.#counters.coarse[reason] ?? 0) + 1
  }

  checked(isRight: boolean): void {
    this.#counters.selfChecks++
    if (!isRight) this.#counters.selfCheckMismatches++
  }

  get name(): string {
    return this.loading.space.name ?? this.loading.text
  }

  notice(code: string, message: string): void {
    this.loading.notice(code, message)
  }

  tag(tags: readonly string[]): void {
    for (const tag of tags) this.depend({ kind: 'tag', tenant: this.tenant, tag })
  }

  /** Adds what was read for this key and others together. Of join partners nothing is known then: any row of their tables matters. */
  join(all: Fill): void {
    for (const [name, dependency] of all.#dependencies)
      if (typeof name === 'string') this.depend(dependency)
      else this.dependOnHanded(dependency)
    if (all.expiresAt < this.expiresAt) this.expiresAt = all.expiresAt
    this.unkeptReason ??= all.unkeptReason
    this.expiryReason ??= all.expiryReason
    this.isStale ||= all.isStale
    this.isFenced ||= all.isFenced
  }

  /** Takes over what a nested read was computed from: evicting the inner entry then loses nothing. */
  inherit(inner: Inherited): void {
    nesting.dependencies(this, inner)
    if (inner.expiresAt < this.expiresAt) this.expiresAt = inner.expiresAt
    nesting.state(this, inner)
  }
}

/** How long the ring keeps changes once a replica was read (design.md, Elsewhere: at least 10 s). */
const REPLICA_RETAIN_MS = 10_000

/** Inheritance as functions, so that the simulation can plant the bug of leaving one out. */
export const nesting = {
  dependencies(outer: Fill, inner: Inherited): void {
    outer.depend({ kind: 'key', tenant: inner.tenant, key: inner.key })
    if (inner.areHanded) for (const dependency of inner.dependencies) outer.dependOnHanded(dependency)
    else for (const dependency of inner.dependencies) outer.depend(dependency)
  },
  state(outer: Fill, inner: Inherited): void {
    if (!inner.unkept) return
    outer.unkept('nested')
    if (inner.unkept === 'stale') outer.isStale = true
    else outer.isFenced = true
  },
}

function nameOf(dependency: Dependency): string {
  switch (dependency.kind) {
    case 'tag':
      return `t\u0000${dependency.tenant}\u0000${dependency.tag}`
    case 'key':
      return `k\u0000${dependency.tenant}\u0000${dependency.key}`
    case 'table':
      return `T\u0000${dependency.table}${dependency.reads ? JSON.stringify(dependency.reads) : ''}`
    case 'rows': {
      let name = `r\u0000${dependency.old}\u0000${dependency.table}`
      for (const column of dependency.columns) name += `\u0000${column}`
      for (const value of dependency.values) name += value === null ? '\u0001' : `\u0000${value.length}:${value}`
      const { orders, range, also, reads, test } = dependency
      return orders || range || also || reads || test
        ? name + JSON.stringify([orders, range, also, reads, test?.holds])
        : name
    }
  }
}
