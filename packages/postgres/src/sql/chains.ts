import { escapeIdentifier } from 'pg'
import type { Bounds, Choice } from './bounds.js'
import { INT2, INT4, INT8, INTEGERS, isRanked, stored, TIMESTAMPTZ } from './canonical.js'
import type { Ask, Column } from './catalogue.js'
import { listOf, textOf } from './row-set.js'

type Chain = Extract<Choice, { kind: 'chain' }>

/** More rows than this are not read, and more values than this not followed one by one: then the table is followed as a whole. */
const ROWS_MAX = 5_000
const VALUES_MAX = 1_000

/** A column that is bound by the values of another. */
export interface Step {
  readonly target: Column
  readonly chain: Chain
}

/**
 * Asks which values a column has in the rows that bounds describe: one question for all tables that a statement reads through others.
 *
 * Asked before the statement runs. The entry depends on those rows too, so whatever adds a value to the set touches the entry; until then
 * no row with another value can matter. (Asked after it, a value could have left in between that was still used.)
 */
export class Chains {
  readonly #parameters: readonly unknown[]
  readonly #partnersMax: number
  readonly #found = new Map<Chain, readonly string[] | undefined>()

  /**
   * @param parameters  the statement's values
   * @param partnersMax  so many values of a chain are followed where other bounds name the rows too
   */
  constructor(parameters: readonly unknown[], partnersMax: number) {
    this.#parameters = parameters
    this.#partnersMax = partnersMax
  }

  /** Asks for all of them in one round trip. What fails leaves them unknown: then they bound nothing. */
  async resolve(steps: readonly Step[], ask: Ask): Promise<void> {
    const query = new ChainQuery(this.#parameters)
    const asked: (Step & { readonly max: number })[] = []
    const texts: string[] = []
    for (const { target, chain } of steps) {
      const max = chain.isExtra ? this.#partnersMax : VALUES_MAX
      if (max === 0 || this.#found.has(chain)) continue
      this.#found.set(chain, undefined)
      const text = query.text(chain)
      if (text === undefined) continue
      asked.push({ target, chain, max })
      texts.push(
        `(select pg_catalog.json_build_object('count', count(*), 'values', json_agg(distinct v) filter (where v is not null)) from (${text} limit ${ROWS_MAX + 1}) s(v))`,
      )
    }
    if (texts.length === 0) return
    const answers = JSON.parse(
      await ask(`select pg_catalog.json_build_array(${texts.join(', ')})::text`, query.values),
    ) as { count: number; values: string[] | null }[]
    for (const [index, { target, chain, max }] of asked.entries()) {
      const { count, values } = answers[index]!
      const found = (values ?? []).map((value) => stored(target, value))
      if (count > ROWS_MAX || found.length > max) continue
      if (found.every((value) => value !== undefined)) this.#found.set(chain, found)
    }
  }

  readonly values = (chain: Chain): readonly string[] | undefined => this.#found.get(chain)
}

/** Writes the query: what bounds can't be written is left out, which only adds values. */
class ChainQuery {
  readonly values: string[] = []
  readonly #parameters: readonly unknown[]

  constructor(parameters: readonly unknown[]) {
    this.#parameters = parameters
  }

  /** undefined if nothing would bound it. */
  text({ relation, column, bounds }: Chain, cast = '::text'): string | undefined {
    const conditions = this.#conditions(bounds)
    if (conditions.length === 0) return undefined
    return `select ${escapeIdentifier(column.name)}${cast} from ${relation.table} where ${conditions.join(' and ')}`
  }

  #conditions(bounds: Bounds): string[] {
    return bounds.flatMap(({ column, choice }) => this.#condition(column, choice) ?? [])
  }

  #condition(column: Column, choice: Choice): string | undefined {
    const name = `${escapeIdentifier(column.name)}${column.kind === 'e' ? '::text' : ''}`
    switch (choice.kind) {
      case 'in':
        return choice.takesNull ? undefined : this.#list(name, column, choice)
      case 'any':
        return this.#list(name, column, choice)
      case 'null':
        return `${name} is null`
      case 'compare': {
        // As a text an enum has another order.
        if (isRanked(column)) return undefined
        const text = textOf(column, choice.value, this.#parameters)
        if (text === null) return 'false'
        const value = typeof text === 'string' ? this.#value(column, text) : undefined
        return value && `${name} operator(pg_catalog.${choice.operator}) ${value}`
      }
      case 'chain': {
        const inner = this.text(choice, '')
        return inner && `${name} in (${inner})`
      }
      default:
        return undefined
    }
  }

  #list(name: string, column: Column, choice: Choice): string | undefined {
    const texts = listOf(column, choice, this.#parameters)
    if (!texts || texts.length > VALUES_MAX || !texts.every((text) => text !== undefined)) return undefined
    const values = texts.flatMap((text) => (text === null ? [] : (this.#value(column, text) ?? [])))
    return values.length === 0 ? 'false' : `${name} in (${values.join(', ')})`
  }

  /** A parameter. What the server would refuse as a value of the column equals none: a failed query would end a transaction. */
  #value(column: Column, text: string): string | undefined {
    if (text.includes('\0') || (INTEGERS.has(column.type) && !isInteger(column.type, text))) return undefined
    const place = `$${this.values.push(text)}`
    return column.type === TIMESTAMPTZ ? `(${place}::timestamp at time zone 'UTC')` : place
  }
}

function isInteger(type: number, text: string): boolean {
  if (!/^-?[0-9]{1,19}$/.test(text)) return false
  const bits = new Map([
    [INT2, 16],
    [INT4, 32],
    [INT8, 64],
  ]).get(type)!
  return BigInt.asIntN(bits, BigInt(text)) === BigInt(text)
}
