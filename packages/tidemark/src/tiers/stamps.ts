import type { Dependency, RowsDependency } from '../dependencies/dependency.js'
import { tuplesOf } from '../dependencies/lookup.js'
import { isUnchanged, touches } from '../dependencies/match.js'
import type { Order } from '../dependencies/order.js'
import type { PatternTarget } from '../dependencies/pattern.js'
import { tupleOf } from '../dependencies/tuple.js'
import type { Change, Mode, RowChange, Target } from '../log/change.js'
import type { L2Mark, L2Stamp } from './l2.js'

/*
 * How dependencies and changes meet in L2, which knows neither: each dependency is a stamp, a name within a shape; each change
 * becomes marks for the shapes that L2 has. What is no equality is widened to what its equalities say, or to its table.
 */

const PATTERN_MAX = 1_000
const FEW = 8
/** The texts of so many tenants' shapes are remembered. */
const TENANTS_MAX = 1_000

/** A dependency without its values. */
type Shape = NameShape | readonly ['table', table: string, reads: readonly string[] | null] | RowsShape

/** null: of all tenants, where there is no room for a shape of each; the name says which. */
type NameShape = readonly ['tag' | 'key', tenant: string | null]

type RowsShape = readonly [
  'rows',
  table: string,
  columns: readonly string[],
  orders: readonly Order[] | null,
  reads: readonly string[] | null,
  old: RowsDependency['old'],
]

/** The stamps of an entry; each once. */
export function stampsOf(dependencies: readonly Dependency[]): L2Stamp[] {
  const stamps = dependencies.map(stampOf)
  // Few are compared with each other faster than they are put into a Map.
  if (stamps.length <= FEW)
    return stamps.filter((stamp, i) => !stamps.some((other, j) => j < i && isSame(stamp, other)))
  return [...new Map(stamps.map((stamp) => [`${stamp.shape}\u0000${stamp.name}`, stamp])).values()]
}

function isSame(one: L2Stamp, other: L2Stamp): boolean {
  return one.name === other.name && one.shape === other.shape
}

function stampOf(dependency: Dependency): L2Stamp {
  switch (dependency.kind) {
    case 'tag':
      return nameStamp('tag', dependency.tenant, dependency.tag)
    case 'key':
      return nameStamp('key', dependency.tenant, dependency.key)
    case 'table':
      return tableStamp(dependency.table, dependency.reads ?? null)
    case 'rows': {
      const { table, columns, values, orders, old } = dependency
      const reads = readsOf(dependency)
      if (columns.length === 0) return tableStamp(table, reads)
      return {
        shape: textOf(['rows', table, columns, orders ?? null, reads, old]),
        name: nameOf(tupleOf(values, orders)),
        wide: tableStamp(table, null),
      }
    }
  }
}

function tableStamp(table: string, reads: readonly string[] | null): L2Stamp {
  const wide = { shape: textOf(['table', table, null]), name: '' }
  return reads ? { shape: textOf(['table', table, reads]), name: '', wide } : wide
}

function nameStamp(kind: 'tag' | 'key', tenant: string, name: string): L2Stamp {
  return new NameStamp(kind, tenant, name)
}

/** Every fill has some, and hardly one needs the wide one. */
class NameStamp implements L2Stamp {
  readonly shape: string
  readonly name: string
  readonly #kind: 'tag' | 'key'
  readonly #tenant: string

  constructor(kind: 'tag' | 'key', tenant: string, name: string) {
    this.shape = nameShape(kind, tenant)
    this.name = name
    this.#kind = kind
    this.#tenant = tenant
  }

  get wide(): L2Stamp {
    return { shape: textOf([this.#kind, null]), name: wideName(this.#tenant, this.name) }
  }
}

const nameShapes = { tag: new Map<string, string>(), key: new Map<string, string>() }

function nameShape(kind: 'tag' | 'key', tenant: string): string {
  const known = nameShapes[kind].get(tenant)
  if (known !== undefined) return known
  if (nameShapes[kind].size >= TENANTS_MAX) nameShapes[kind].clear()
  const text = textOf([kind, tenant])
  nameShapes[kind].set(tenant, text)
  return text
}

/** Without its further conditions a row counts that they may begin or cease to hold for. */
function readsOf({ reads, range, also, test, columns, orders }: RowsDependency): readonly string[] | null {
  if (!reads) return null
  const folded = columns.filter((_, i) => orders?.[i] === 'folded')
  const conditions = [...(range ? [range] : []), ...(also ?? [])].map(({ column }) => column)
  return [...new Set([...reads, ...conditions, ...(test?.columns ?? []), ...folded])].sort()
}

function isOfTable(shape: Shape): shape is Exclude<Shape, NameShape> {
  return shape[0] === 'table' || shape[0] === 'rows'
}

/** The shapes that L2 has, by what a change names. */
export class Shapes {
  readonly #tables = new Map<string, Set<string>>()
  readonly #parsed = new Map<string, Shape>()

  constructor(texts: readonly string[]) {
    for (const text of texts) {
      const shape = JSON.parse(text) as Shape
      this.#parsed.set(text, shape)
      if (!isOfTable(shape)) continue
      const table = this.#tables.get(shape[1])
      if (table) table.add(text)
      else this.#tables.set(shape[1], new Set([text]))
    }
  }

  /** Adds what the changes of a commit touch to the marks: by shape and name, the last position. */
  mark(changes: readonly Change[], lsn: number, marks: Marks): void {
    for (const change of changes) {
      switch (change.kind) {
        case 'row':
          for (const text of this.#tables.get(change.table) ?? []) this.#markRow(text, change, lsn, marks)
          break
        case 'table':
          for (const text of this.#tables.get(change.table) ?? []) {
            if (change.reason === 'columns-added' && this.#readsOf(text)) continue
            if (change.reason === 'truncate' && this.#leavesRows(text)) continue
            marks.add(text, undefined, lsn)
          }
          break
        case 'everything':
          for (const texts of this.#tables.values()) for (const text of texts) marks.add(text, undefined, lsn)
          break
        case 'target':
          for (const target of change.targets) this.#markTarget(target, change.mode, lsn, marks)
          break
        default:
          change satisfies never
      }
    }
  }

  /** Rows that leave are left to other stamps of the same entry. */
  #leavesRows(text: string): boolean {
    const shape = this.#parsed.get(text)!
    return shape[0] === 'rows' && shape[5] !== 'coarse'
  }

  #readsOf(text: string): readonly string[] | null {
    const shape = this.#parsed.get(text)!
    return shape[0] === 'rows' ? shape[4] : shape[0] === 'table' ? shape[2] : null
  }

  #markRow(text: string, change: RowChange, lsn: number, marks: Marks): void {
    const shape = this.#parsed.get(text)!
    const reads = this.#readsOf(text)
    if (shape[0] !== 'rows') {
      if (!isUnchanged(change, reads ?? undefined)) marks.add(text, '', lsn)
      return
    }
    const [, , columns, orders, , old] = shape
    const { now, was, isUnknown } = tuplesOf({ columns, old, ...(orders && { orders }) }, change)
    if (isUnknown) return marks.add(text, undefined, lsn)
    if (now !== undefined && now === was && isUnchanged(change, reads ?? undefined)) return
    if (now !== undefined && stampRules.isMarkedNow()) marks.add(text, nameOf(now), lsn)
    if (was !== undefined && was !== now && old !== 'ignored') marks.add(text, nameOf(was), lsn)
  }

  #markTarget(target: Target, mode: Mode, lsn: number, marks: Marks): void {
    const pattern = patternOf(target, mode)
    if (target.kind === 'everything') {
      for (const [text, [kind]] of this.#parsed) if (kind === 'key') marks.add(text, undefined, lsn, { pattern })
      return
    }
    // Every entry has the stamp of its own key. Whether a pattern means it, who reads it says: L2 can't look for what matches.
    const kind = target.kind === 'tag' ? 'tag' : 'key'
    const name = target.kind === 'tag' ? target.tag : target.kind === 'key' ? target.key : undefined
    const how = { pattern, isExpiry: name !== undefined && mode === 'expire' }
    const text = textOf([kind, target.tenant])
    if (this.#parsed.has(text)) marks.add(text, name, lsn, how)
    const wide = textOf([kind, null])
    if (this.#parsed.has(wide))
      marks.add(wide, name === undefined ? undefined : wideName(target.tenant, name), lsn, how)
  }
}

/** The marks of a batch: of each stamp the last one, in the order of their positions. */
export class Marks {
  readonly #marks = new Map<string, L2Mark>()

  add(
    shape: string,
    name: string | undefined,
    lsn: number,
    { pattern, isExpiry = false }: { readonly pattern?: string | undefined; readonly isExpiry?: boolean } = {},
  ): void {
    const among = pattern === undefined ? '' : `\u0001${pattern}`
    const key = name === undefined ? shape + among : `${shape}\u0000${isExpiry ? '\u0002' : ''}${name}`
    this.#marks.delete(key)
    this.#marks.set(key, {
      lsn,
      shape,
      name,
      ...(isExpiry && { isExpiry }),
      ...(pattern !== undefined && { pattern }),
    })
  }

  get all(): L2Mark[] {
    return [...this.#marks.values()]
  }
}

/** What L2 can't do by itself, in words for those who read: patterns, and what lets all keys of a tenant, or all, expire. */
type Told = readonly [tenant: string | null, kind: PatternTarget['syntax'] | 'all', pattern: string, mode?: 'expire']

/** undefined where L2 needs none, or where it is too long for it: then it means all keys, and drops them. */
function patternOf(target: Target, mode: Mode): string | undefined {
  const ending: readonly ['expire'?] = mode === 'expire' ? [mode] : []
  let told: Told
  if (target.kind === 'pattern') told = [target.tenant, target.syntax, target.pattern, ...ending]
  else if (mode === 'drop' || target.kind === 'tag' || target.kind === 'key') return undefined
  else told = [target.kind === 'everything' ? null : target.tenant, 'all', '', ...ending]
  const text = JSON.stringify(told)
  return text.length <= PATTERN_MAX ? text : undefined
}

/** How a pattern that L2 kept means something that an entry depends on; undefined if it does not. */
export function meantBy(pattern: string, dependencies: readonly Dependency[]): Mode | undefined {
  const [tenant, kind, text, mode = 'drop'] = JSON.parse(pattern) as Told
  const change: Change = { kind: 'target', targets: [targetOf(tenant, kind, text)], mode }
  return dependencies.some((dependency) => touches(dependency, change)) ? mode : undefined
}

function targetOf(tenant: string | null, kind: Told[1], pattern: string): Target {
  if (tenant === null) return { kind: 'everything' }
  return kind === 'all' ? { kind: 'tenant', tenant } : { kind: 'pattern', tenant, syntax: kind, pattern }
}

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const stampRules = {
  /** A row counts where it now is, not only where it was. */
  isMarkedNow(): boolean {
    return true
  },
}

function textOf(shape: Shape): string {
  return JSON.stringify(shape)
}

function wideName(tenant: string, name: string): string {
  return JSON.stringify([tenant, name])
}

/** NULL is no text. */
function nameOf(tuple: string | number | null): string {
  return tuple === null ? '~' : `=${tuple}`
}
