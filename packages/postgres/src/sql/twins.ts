import { type Order, type Twins, twinOf, VERSION } from 'tidemark'
import type { RowRead } from './analyse.js'
import type { Choice } from './bounds.js'
import { BPCHAR, equalityOf, FLOAT4, FLOAT8, NUMERIC } from './canonical.js'
import type { Column } from './catalogue.js'
import type { Chains, Step } from './chains.js'

/** What asks which rows of a place there are, where one is as good as several that are alike. */
export interface TwinRead {
  readonly key: readonly Column[]
  readonly columns: readonly Column[]
  readonly chains: readonly Extract<Choice, { kind: 'chain' }>[]
}

/** Of more ways it is not asked. */
const WAYS_MAX = 4
/** What names rows by value: of a large table only these are looked for. */
const NARROW: ReadonlySet<Choice['kind']> = new Set<Choice['kind']>(['in', 'any', 'null', 'chain'])

/** Of a place where how many rows are alike does not matter; undefined where none can be, or that can't be told. */
export function twinReadOf({
  relation,
  ways,
  hidden,
  reads,
}: Omit<RowRead, 'twins' | 'spine' | 'tested'>): TwinRead | undefined {
  const { keys, isSmall, isReadable } = relation
  // What the answer shows may have left before the answer did.
  if (!hidden || !reads || reads.includes(VERSION) || keys.length === 0 || !isReadable) return undefined
  if (keys.every((key) => reads.includes(key))) return undefined
  const named = (names: readonly string[]): (Column | undefined)[] =>
    names.map((name) => relation.columns.find((each) => each.name === name && exactOrderOf(each)))
  const [key, columns] = [named(keys), named(reads)]
  if (!key.every((each) => each !== undefined) || !columns.every((each) => each !== undefined)) return undefined
  const all = typeof ways === 'string' ? [[]] : ways
  const isFew = isSmall || all.every((way) => way.some(({ choice }) => NARROW.has(choice.kind)))
  if (!isFew || all.length > WAYS_MAX) return undefined
  const chains = all.map((way) => {
    const bounds = way.filter(({ choice }) => choice.kind !== 'cut' && choice.kind !== 'beside')
    return { kind: 'chain', relation, column: key[0]!, bounds, isExtra: true } as const
  })
  return { key, columns, chains }
}

/** What is asked for them. */
export function twinSteps({ key, columns, chains }: TwinRead): Step[] {
  return chains.map((chain) => ({ target: key[0]!, chain, beside: [...key.slice(1), ...columns] }))
}

/** The rows that were found; undefined if none were. */
export function twinsOf({ key, columns, chains }: TwinRead, found: Chains): Twins | undefined {
  const places = new Map([...key, ...columns].map(({ name }, place) => [name, place]))
  const [own, read] = [key.map(orderedOf), columns.map(orderedOf)]
  const rows = new Map<string, Set<string>>()
  for (const line of chains.flatMap((chain) => found.lines(chain) ?? [])) {
    const columnOf = (name: string): string | null => line[places.get(name)!]!
    const [values, itself] = [twinOf(read, columnOf), twinOf(own, columnOf)]
    if (values === undefined || itself === undefined) continue
    rows.set(values, (rows.get(values) ?? new Set()).add(itself))
  }
  return rows.size > 0 ? { columns: read, key: own, rows } : undefined
}

function orderedOf(column: Column): { readonly column: string; readonly order: Order } {
  return { column: column.name, order: exactOrderOf(column)! }
}

/** An order under whose keys only the same texts are equal: a query may tell 1.0 from 1.00. */
function exactOrderOf(column: Column): Order | undefined {
  const { type, modifier } = column
  if (type === FLOAT4 || type === FLOAT8 || ((type === NUMERIC || type === BPCHAR) && modifier < 0)) return undefined
  const order = equalityOf(column)
  return order === 'folded' ? undefined : order
}
