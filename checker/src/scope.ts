import { type Fragment, orElse, type Parameter, raw, sql } from './fragment.js'
import { type Kind, literal } from './kinds.js'
import type { Random } from './random.js'
import type { Column, Relation, Schema } from './schema.js'

/** What a name in FROM offers. */
export interface Item {
  readonly alias: string
  readonly columns: readonly Column[]
  /** Columns by which its rows differ, or none. */
  readonly keys: readonly string[]
  /** The table or view that it stands for. */
  readonly relation?: string
}

/** A column as an expression. */
export interface Place {
  readonly text: string
  readonly kind: Kind
}

/** A query while it is written. */
export class Writing {
  readonly random: Random
  readonly schema: Schema
  /** What the query has: `join`, `limit` … */
  readonly features = new Set<string>()
  #aliases = 0

  constructor(random: Random, schema: Schema) {
    this.random = random
    this.schema = schema
  }

  alias(): string {
    return `t${++this.#aliases}`
  }

  note(feature: string): void {
    this.features.add(feature)
  }

  item(relation: Relation): Item {
    return { alias: this.alias(), columns: relation.columns, keys: relation.keys, relation: relation.name }
  }

  /** A column of any of the items that satisfies the condition. */
  place(items: readonly Item[], isWanted: (column: Column) => boolean = () => true): Place | undefined {
    const places = placesOf(items, isWanted)
    return places.length > 0 ? this.random.pick(places) : undefined
  }

  /** A parameter or a constant that a column of this kind is compared with. */
  value(kind: Kind, among: readonly (string | null)[] = kind.values): Fragment {
    const value = among === kind.values && this.random.chance(0.02) ? null : this.random.pick(among)
    const constant = value === null || !isNumber(kind, value) ? literal(value) : value
    if (this.random.chance(0.4))
      return raw(this.random.chance(0.5) && value !== null ? constant : `${literal(value)}::${kind.cast}`)
    const parameter: Parameter = {
      value: javaScriptValue(this.random, kind, value),
      cast: this.random.chance(0.3) ? kind.cast : '',
    }
    return orElse(sql`${parameter}`, raw(`${literal(value)}::${kind.cast}`))
  }
}

export function placesOf(items: readonly Item[], isWanted: (column: Column) => boolean = () => true): Place[] {
  return items.flatMap(({ alias, columns }) =>
    columns.filter(isWanted).map(({ name, kind }) => ({ text: `${alias}.${name}`, kind })),
  )
}

export const isInteger = ({ kind }: Column): boolean =>
  kind.name === 'int' || kind.name === 'bigint' || kind.name === 'reference'
export const isPlain = ({ kind }: Column): boolean => kind.isPlain
/** What `<` says something about that a reader would ask for. */
export const isOrdered = ({ kind }: Column): boolean => ['number', 'text', 'date', 'moment'].includes(kind.family)

function isNumber(kind: Kind, value: string): boolean {
  return kind.family === 'number' && /^-?\d+(\.\d+)?$/.test(value)
}

/** As an application would pass it. */
function javaScriptValue(random: Random, kind: Kind, value: string | null): unknown {
  if (value === null) return null
  if (kind.family === 'bool') return random.chance(0.8) ? value === 't' : value
  if (isNumber(kind, value) && random.chance(0.5) && Number.isSafeInteger(Number(value))) return Number(value)
  if (kind.name === 'timestamptz' && random.chance(0.3))
    return new Date(value.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'))
  return value
}
