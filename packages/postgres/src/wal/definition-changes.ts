import type { Change } from 'tidemark'
import { ancestorsOf } from './catalogue.js'
import type { Definition, Definitions } from './definitions.js'

/** What a change of definitions touches. */
export interface DefinitionChanges {
  /** Names under which entries depend on tables that are not what they were. */
  readonly tables: ReadonlySet<string>
  /** Tables that have new columns, which are NULL in every row, and are otherwise as they were. */
  readonly widened: ReadonlySet<string>
  /** Why the tables that are touched can't be told. */
  readonly everything: string | undefined
}

export const NO_CHANGES: DefinitionChanges = { tables: new Set(), widened: new Set(), everything: undefined }

/** More tables than this are not listed: then everything counts as touched. */
export const TABLES_MAX = 1_000

/** Both states of a relation, or of anything: undefined where it did not exist. */
interface Pair {
  readonly before: Definition | undefined
  readonly after: Definition | undefined
}

/**
 * Tells what of the cache a change of the catalogue touches. Entries depend on tables by name, and on the
 * views that they came through; so a relation touches itself and all above it, each under its names of before and after. What was
 * created is touched too: it may have been read, and changed again, since.
 *
 * @param keys  which objects are compared; by default all
 */
export function changesBetween(
  before: Definitions,
  after: Definitions,
  keys: ReadonlySet<string> = new Set([...before.byKey.keys(), ...after.byKey.keys()]),
): DefinitionChanges {
  return new Comparison(before, after, keys).run()
}

/** What either touches. */
export function together(one: DefinitionChanges, other: DefinitionChanges): DefinitionChanges {
  return {
    tables: new Set([...one.tables, ...other.tables]),
    widened: new Set([...one.widened, ...other.widened]),
    everything: one.everything ?? other.everything,
  }
}

/** Changes as they are delivered. */
export function changesOf({ tables, widened, everything }: DefinitionChanges): readonly Change[] {
  if (everything !== undefined) return [{ kind: 'everything', reason: everything }]
  const added = [...widened].filter((table) => !tables.has(table))
  return [
    ...[...tables].map((table): Change => ({ kind: 'table', table, reason: 'ddl' })),
    ...added.map((table): Change => ({ kind: 'table', table, reason: 'columns-added' })),
  ]
}

class Comparison {
  readonly #states: readonly State[]
  readonly #pairs: readonly Pair[]
  readonly #tables = new Set<string>()
  readonly #widened = new Set<string>()
  #everything: string | undefined

  constructor(before: Definitions, after: Definitions, keys: ReadonlySet<string>) {
    this.#states = [State.of(before), State.of(after)]
    this.#pairs = pairsOf(keys, before, after)
  }

  run(): DefinitionChanges {
    for (const pair of this.#pairs) this.#compare(pair)
    const isTooLong = this.#tables.size + this.#widened.size > TABLES_MAX
    const everything = this.#everything ?? (isTooLong ? 'the definitions of many tables changed' : undefined)
    return everything === undefined
      ? { tables: this.#tables, widened: this.#widened, everything }
      : { tables: new Set(), widened: new Set(), everything }
  }

  #compare(pair: Pair): void {
    const { before, after } = pair
    const { class: kind } = (before ?? after)!
    switch (kind) {
      case 'relation':
        return this.#relation(pair)
      case 'policy':
        if (isOther(pair)) this.#touch((before ?? after)!.more.on!)
        return
      case 'function':
        return this.#function(pair)
      case 'type':
        // A new value of an enum is in no answer yet, a new type in no query; unless its name meant another one.
        if (isOther(pair) && (before || this.#hasNamesake(after!))) this.#all('a type changed')
        return
      case 'label':
        if (before && isOther(pair)) this.#all('a type changed')
        return
      case 'code':
        if (isOther(pair)) this.#all('an operator, cast or collation changed')
        return
      case 'setting':
        if (isOther(pair)) this.#all('settings of the database or a role changed')
        return
      case 'role':
        if (isOther(pair)) for (const state of this.#states) for (const oid of state.secured) this.#touch(oid)
        return
      case 'index':
        return
    }
    kind satisfies never
  }

  /**
   * An IMMUTABLE function may be called where no statement shows it (by another function, in an index); and if calls by its name meant, or
   * will mean, another, nobody knows which. On any other the entries depend that it was looked into for.
   */
  #function(pair: Pair): void {
    const each = [pair.before, pair.after].filter((definition) => definition !== undefined)
    if (!isOther(pair) || !each.some(({ more }) => more.isCalled)) return
    const isKept = each.some(({ more }) => more.isKept)
    if (isKept || each.some((one) => one.more.isBuiltIn || this.#hasNamesake(one))) this.#all('a function changed')
    else for (const { name } of each) this.#tables.add(name)
  }

  #relation(pair: Pair): void {
    const { before, after } = pair
    const { oid, more } = (before ?? after)!
    if (more.kind === 'c') {
      if (before && (isOther(pair) || columnsOf(pair) !== 'same')) this.#all('a type changed')
      return
    }
    if (!before || !after || before.name !== after.name) {
      // What was found by this name in the search path may be another one now.
      for (const name of new Set([before?.more.bare, after?.more.bare])) this.#touchNamesakes(name, oid)
    }
    if (!before || before.more.links !== after?.more.links) this.#touchAbove(oid)
    // Of materialised views nothing is kept.
    if (more.kind === 'm') return
    if (!before) return this.#touch(oid)
    const columns = columnsOf(pair)
    if (isOther(pair) || columns === 'other') this.#touch(oid)
    else if (columns === 'added') this.#widen(pair)
  }

  #widen({ before, after }: Pair): void {
    const known = before!.more.columns ?? {}
    const added = Object.entries(after!.more.columns ?? {}).filter(([number]) => !(number in known))
    // A bare name in a query that meant another table's column, or an argument in a function, may mean the new one.
    const family = new Set([after!.oid, ...this.#states[1]!.familyOf(after!.oid)])
    const isTaken = added.some(([, { name }]) => this.#states[1]!.hasColumn(name, family))
    if (isTaken) this.#touch(after!.oid)
    else for (const state of this.#states) for (const name of state.namesOf(after!.oid)) this.#widened.add(name)
  }

  #touch(oid: number): void {
    for (const state of this.#states) for (const name of state.namesOf(oid)) this.#tables.add(name)
  }

  #touchAbove(oid: number): void {
    for (const state of this.#states) for (const above of state.above(oid)) this.#touch(above)
  }

  #touchNamesakes(bare: string | undefined, except: number): void {
    if (bare === undefined) return
    for (const state of this.#states) for (const oid of state.called(bare)) if (oid !== except) this.#touch(oid)
  }

  #hasNamesake(definition: Definition): boolean {
    return this.#states.some((state) => state.hasNamesake(definition))
  }

  #all(reason: string): void {
    this.#everything ??= reason
  }
}

/** The relations of one state of the catalogue. */
class State {
  readonly #relations = new Map<number, Definition>()
  readonly #byBareName = new Map<string, number[]>()
  /** Functions and types by name. */
  readonly #others = new Map<string, number[]>()
  /** Names of functions' arguments. */
  readonly #arguments = new Set<string>()
  /** Which tables and views have a column of this name. */
  readonly #columns = new Map<string, number[]>()
  readonly secured: number[] = []

  static readonly #known = new WeakMap<Definitions, State>()

  /** Many comparisons may begin from one state. */
  static of(definitions: Definitions): State {
    const known = State.#known.get(definitions) ?? new State(definitions)
    State.#known.set(definitions, known)
    return known
  }

  private constructor({ byKey }: Definitions) {
    for (const each of byKey.values()) {
      if (each.class !== 'relation') {
        push(this.#others, namesakesOf(each), each.oid)
        for (const name of each.more.arguments ?? []) this.#arguments.add(name)
        continue
      }
      this.#relations.set(each.oid, each)
      if (each.more.kind === 'c') continue
      push(this.#byBareName, each.more.bare!, each.oid)
      if (each.more.isRowSecured) this.secured.push(each.oid)
      for (const { name } of Object.values(each.more.columns ?? {})) push(this.#columns, name, each.oid)
    }
  }

  called(bare: string): readonly number[] {
    return this.#byBareName.get(bare) ?? []
  }

  hasNamesake(made: Definition): boolean {
    return (this.#others.get(namesakesOf(made)) ?? []).some((oid) => oid !== made.oid)
  }

  /** Whether a bare name means something else already: another's column, a function, an argument. */
  hasColumn(name: string, except: ReadonlySet<number>): boolean {
    if ((this.#columns.get(name) ?? []).some((oid) => !except.has(oid))) return true
    return this.#others.has(`function ${name}`) || this.#arguments.has(name)
  }

  above(oid: number): readonly number[] {
    return ancestorsOf(oid, (child) => this.#relations.get(child)?.more.parents ?? [])
  }

  /** All that are above it or below what is above it. */
  familyOf(oid: number): readonly number[] {
    const top = new Set([oid, ...this.above(oid)])
    return [...this.#relations.keys()].filter(
      (each) => top.has(each) || this.above(each).some((above) => top.has(above)),
    )
  }

  /** Under which names entries depend on it: its own and those above it. */
  namesOf(oid: number): ReadonlySet<string> {
    const names = new Set<string>()
    const seen = new Set<number>()
    const queue = [oid]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const relation = this.#relations.get(next)
      if (!relation || seen.has(next)) continue
      seen.add(next)
      names.add(relation.name)
      queue.push(...(relation.more.parents ?? []))
    }
    return names
  }
}

/**
 * Whether it is another one now. What was written anew though nothing in it changed, not even what does not matter, may have been
 * another one in between: answers of that time are no good.
 */
function isOther({ before, after }: Pair): boolean {
  if (!before || !after || before.def !== after.def) return true
  return before.xmin !== after.xmin && before.quiet === after.quiet
}

function columnsOf({ before, after }: Pair): 'same' | 'added' | 'other' {
  if (!after) return 'other'
  const old = before!.more.columns ?? {}
  const now = after.more.columns ?? {}
  for (const [number, was] of Object.entries(old)) {
    const is = now[number]
    if (!is || was.def !== is.def || (was.xmin !== is.xmin && was.quiet === is.quiet)) return 'other'
  }
  const added = Object.entries(now).filter(([number]) => !(number in old))
  if (added.length === 0) return 'same'
  return added.every(([, { isPlain }]) => isPlain) ? 'added' : 'other'
}

function pairsOf(keys: ReadonlySet<string>, before: Definitions, after: Definitions): Pair[] {
  const pairs = [...keys].map((key) => ({ before: before.byKey.get(key), after: after.byKey.get(key) }))
  return pairs.filter(({ before, after }) => before || after)
}

/** What those have in common that a bare name may mean. */
function namesakesOf({ class: kind, name, more }: Definition): string {
  return `${kind} ${more.bare ?? name}`
}

function push(map: Map<string, number[]>, name: string, oid: number): void {
  const known = map.get(name)
  if (known) known.push(oid)
  else map.set(name, [oid])
}
