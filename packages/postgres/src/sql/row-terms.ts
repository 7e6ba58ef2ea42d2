import type { Term } from 'tidemark'
import type { ColumnRef, Node } from './ast.js'
import { as, strings } from './ast.js'
import { areAlike, equalityOf, INT2, INT4, INT8, INTEGERS, NUMERIC } from './canonical.js'
import type { Column } from './catalogue.js'
import { type Made, made, made2, told } from './made.js'
import { valueIn } from './passed.js'
import { textOf } from './row-set.js'
import { type BoundColumn, type Level, resolve } from './scope.js'
import { isHarmless, readValue, typeOf, typeOfValue, type Value, valueFits } from './values.js'

/** What a term is compared as: a column of its type. A value has the type of what it is compared with. */
export type Typed = { readonly column: Column; readonly make: Made<Term> } | { readonly value: Value }

/** Reads expressions as values of a row: columns, constants, parameters, whole numbers that are computed, COALESCE. */
export class Terms {
  /** The columns that were named, and where. */
  readonly columns: BoundColumn[] = []
  readonly references = new Set<ColumnRef>()
  readonly level: Level
  readonly types: readonly number[]

  constructor(level: Level, types: readonly number[]) {
    this.level = level
    this.types = types
  }

  /** @param isAny  its type need not be one that is compared */
  read(node: Node | undefined, isAny = false): Typed | undefined {
    const value = this.value(node)
    if (value) return { value }
    const column = this.#column(node)
    if (column) {
      if (column.isGenerated || (isAny ? column.kind === 'c' || column.kind === 'd' : !equalityOf(column)))
        return undefined
      return { column, make: told({ of: 'column', column: column.name }) }
    }
    const sum = as('A_Expr', node)
    if (sum?.kind === 'AEXPR_OP') return this.#computed(ownName(strings(sum.name)), sum.lexpr, sum.rexpr)
    const first = as('CoalesceExpr', node)?.args
    if (first) return this.#alike(first, (terms) => made(terms, (each) => ({ of: 'first', terms: each })))
    const cast = as('TypeCast', node)
    return cast ? this.#cast(cast.arg, typeOf(cast.typeName, false)) : undefined
  }

  #computed(operator: string | undefined, left: Node | undefined, right: Node | undefined): Typed | undefined {
    const of = operator === '+' ? 'sum' : operator === '-' ? 'difference' : operator === '*' ? 'product' : undefined
    const [one, other] = [this.read(left), this.read(right)]
    if (!of || !one || !other) return undefined
    const known = [one, other].flatMap((each) => ('column' in each ? [each.column] : []))
    const [column] = known
    if (!column || !known.every(({ type, kind }) => INTEGERS.has(type) && kind === 'b')) return undefined
    const given = [one, other].flatMap((each) => ('value' in each ? [this.#integerType(each.value)] : []))
    if (given.includes(undefined)) return undefined
    const type = widest([...known.map((each) => each.type), ...given.map((each) => each!)])
    const result = { ...column, type }
    const bits = type === INT2 ? 16 : type === INT4 ? 32 : 64
    const make = made2(this.as(one, result), this.as(other, result), (a, b): Term => ({ of, left: a, right: b, bits }))
    return { column: result, make }
  }

  /** The type of a value that whole numbers are computed with; of one without a type it is the other's, which a literal may not be. */
  #integerType(value: Value): number | undefined {
    const type = typeOfValue(value, this.types)
    return type !== undefined && INTEGERS.has(type) ? type : undefined
  }

  /** Terms of one type. */
  #alike(nodes: readonly Node[], make: (terms: readonly Made<Term>[]) => Made<Term>): Typed | undefined {
    const terms = nodes.map((node) => this.read(node))
    const column = terms.flatMap((each) => (each && 'column' in each ? [each.column] : []))[0]
    const isAlike = (each: Typed | undefined): boolean =>
      each !== undefined &&
      ('value' in each || (column !== undefined && each.column.type === column.type && areAlike(each.column, column)))
    if (!column || !terms.every(isAlike)) return undefined
    // Another type of the value would be that of the whole.
    const isOwn = (value: Value): boolean => this.#isOfType(value, column)
    if (!terms.every((each) => 'column' in each! || isOwn(each!.value))) return undefined
    return { column, make: make(terms.map((each) => this.as(each!, column))) }
  }

  #isOfType(value: Value, column: Column): boolean {
    const type = typeOfValue(value, this.types)
    return type === column.type || ('constant' in value && type === 0 && column.kind === 'b')
  }

  /** A cast that changes no comparison. */
  #cast(node: Node | undefined, type: number | undefined): Typed | undefined {
    const term = this.read(node)
    if (!term || 'value' in term || type === undefined) return undefined
    const { column, make } = term
    if (type !== NUMERIC && isHarmless(column.type, type)) return { column: { ...column, type }, make }
    return type === NUMERIC && INTEGERS.has(column.type) ? { column: { ...column, type }, make } : undefined
  }

  as(typed: Typed, column: Column): Made<Term> {
    if ('column' in typed) return typed.make
    if (!valueFits(column, typed.value, this.types)) return undefined
    return made([one(column, typed.value)], ([each]) => ({ of: 'constant', value: each!.value }))
  }

  value(node: Node | undefined): Value | undefined {
    return readValue(valueIn(node, this.level))
  }

  #column(node: Node | undefined): Column | undefined {
    const reference = as('ColumnRef', node)
    const parts = strings(reference?.fields)
    if (!reference || parts.length !== reference.fields?.length) return undefined
    const found = resolve(this.level, parts)
    if (typeof found === 'string' || !found.occurrence.relation) return undefined
    this.columns.push(found)
    this.references.add(reference)
    return found.column
  }
}

const WIDTHS: readonly number[] = [INT2, INT4, INT8]

/** An operator of PostgreSQL's own. */
export function ownName(parts: readonly string[]): string | undefined {
  return parts.length === 1 || (parts.length === 2 && parts[0] === 'pg_catalog') ? parts.at(-1) : undefined
}

function widest(types: readonly number[]): number {
  return WIDTHS[Math.max(...types.map((type) => WIDTHS.indexOf(type)))]!
}

/** A value's text, as the column has it. */
export function one(column: Column, value: Value): Made<{ readonly value: string | null }> {
  return (parameters) => {
    const text = textOf(column, value, parameters)
    return text === undefined ? undefined : { value: text }
  }
}

export function texts(column: Column, values: readonly Value[]): Made<(string | null)[]> {
  return made(
    values.map((value) => one(column, value)),
    (each) => each.map(({ value }) => value),
  )
}
