import { escapeIdentifier } from 'pg'
import type { Bounds, Choice, Presence } from './bounds.js'
import { INT2, INT4, INT8, INTEGERS, isRanked, stored, TEXT, TIMESTAMPTZ } from './canonical.js'
import type { Ask, Column } from './catalogue.js'
import { listOf, textOf } from './row-set.js'

type Chain = Extract<Choice, { kind: 'chain' }>

/** More rows than this are not read, and more values than this not followed one by one: then the table is followed as a whole. */
const ROWS_MAX = 5_000
const VALUES_MAX = 1_000
/** Of more rows it is not asked what they lead to. */
const LINES_MAX = 200

/** What leaves out few rows of a table: no reason to read a large one. */
const LOOSE: ReadonlySet<Choice['kind']> = new Set<Choice['kind']>(['not-in', 'not-any', 'not-null'])

/** A column that is bound by the values of another. */
export interface Step {
  readonly target: Column
  readonly chain: Chain
  /** Columns of the chain's rows that are asked for with the values. */
  readonly beside?: readonly Column[]
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
  readonly #lines = new Map<Chain, readonly Line[]>()
  /** Of chains that are asked for; of others nothing is written into what is asked. */
  readonly #written = new Set<Chain>()
  readonly #isThere = new Map<Presence, boolean>()

  /**
   * @param parameters  the statement's values
   * @param partnersMax  so many values of a chain are followed where other bounds name the rows too
   */
  constructor(parameters: readonly unknown[], partnersMax: number) {
    this.#parameters = parameters
    this.#partnersMax = partnersMax
  }

  /**
   * Asks for all of them in one round trip. What fails leaves them unknown: then they bound nothing.
   *
   * @param presences  tables of which it is asked whether they have such rows
   */
  async resolve(steps: readonly Step[], presences: readonly Presence[], ask: Ask): Promise<void> {
    const query = new ChainQuery(this.#parameters)
    const questions: string[] = []
    const takers: ((answer: unknown) => void)[] = []
    for (const { target, chain, beside = [] } of steps) {
      const max = chain.isExtra ? this.#partnersMax : VALUES_MAX
      if (max === 0 || this.#found.has(chain)) continue
      this.#found.set(chain, undefined)
      const text = query.text(chain)
      if (text === undefined) continue
      this.#written.add(chain)
      questions.push(
        `(select pg_catalog.json_build_object('count', count(*), 'values', json_agg(distinct v) filter (where v is not null)) from (${text} limit ${ROWS_MAX + 1}) s(v))`,
      )
      takers.push((answer) => this.#take(chain, target, max, answer as ChainAnswer))
      const lines = beside.length > 0 ? query.text(chain, '::text', beside) : undefined
      if (lines === undefined) continue
      const names = ['v', ...beside.keys()].map((each) => `c${each}`)
      questions.push(
        `(select pg_catalog.json_build_object('count', count(*), 'lines', json_agg(distinct pg_catalog.jsonb_build_array(${names.join(', ')})) filter (where cv is not null)) from (${lines} limit ${LINES_MAX + 1}) s(${names.join(', ')}))`,
      )
      takers.push((answer) => this.#takeLines(chain, [target, ...beside], answer as LinesAnswer))
    }
    if (this.#partnersMax > 0)
      for (const presence of presences) {
        questions.push(`exists (${query.presence(presence)})`)
        takers.push((answer) => this.#isThere.set(presence, answer === true))
      }
    if (questions.length === 0) return
    // Each place of a statement has its own, and many are the same.
    const asked = [...new Set(questions)]
    const answers: unknown[] = JSON.parse(
      await ask(`select pg_catalog.json_build_array(${asked.join(', ')})::text`, query.values),
    )
    for (const [index, take] of takers.entries()) take(answers[asked.indexOf(questions[index]!)])
  }

  #take(chain: Chain, target: Column, max: number, { count, values }: ChainAnswer): void {
    const found = (values ?? []).map((value) => stored(target, value))
    if (count > ROWS_MAX || found.length > max) return
    if (found.every((value) => value !== undefined)) this.#found.set(chain, found)
  }

  #takeLines(chain: Chain, columns: readonly Column[], { count, lines }: LinesAnswer): void {
    if (count > LINES_MAX) return
    const found: Line[] = []
    for (const line of lines ?? []) {
      const values = line.map((value, i) => (value === null ? null : stored(columns[i]!, value)))
      if (!values.every((value) => value !== undefined)) return
      found.push(values)
    }
    this.#lines.set(chain, found)
  }

  readonly values = (chain: Chain): readonly string[] | undefined => this.#found.get(chain)

  /** The rows of a chain, each with its value and those of the columns beside; undefined where they are too many, or can't be told. */
  lines(chain: Chain): readonly Line[] | undefined {
    return this.#lines.get(chain)
  }

  /**
   * The table that has no row, so that no row beside it matters; undefined if none is known to, or the first is the one for whose rows it
   * is asked: what bounds that already says which rows it needs.
   */
  absent(tables: readonly Presence[]): Presence | undefined {
    const first = tables.find((each) => this.#isThere.get(each) === false && this.#areKnown(each.bounds))
    return first?.isOwn ? undefined : first
  }

  /** Else it may have no row because of others that lead there, and nothing would tell when these come. */
  #areKnown(bounds: Bounds): boolean {
    return bounds.every(
      ({ choice }) =>
        choice.kind !== 'chain' ||
        !this.#written.has(choice) ||
        (this.#found.get(choice) !== undefined && this.#areKnown(choice.bounds)),
    )
  }
}

/** A row of a chain. */
type Line = readonly (string | null)[]

interface LinesAnswer {
  readonly count: number
  readonly lines: readonly Line[] | null
}

interface ChainAnswer {
  readonly count: number
  readonly values: readonly string[] | null
}

/** Writes the query: what bounds can't be written is left out, which only adds values. */
class ChainQuery {
  readonly values: string[] = []
  readonly #parameters: readonly unknown[]
  readonly #places = new Map<string, string>()

  constructor(parameters: readonly unknown[]) {
    this.#parameters = parameters
  }

  /** undefined if nothing would bound it, and it is not small. */
  text({ relation, column, bounds }: Chain, cast = '::text', beside: readonly Column[] = []): string | undefined {
    if (!relation.isSmall && this.#where(bounds.filter(({ choice }) => !LOOSE.has(choice.kind))) === '')
      return undefined
    const columns = [column, ...beside].map(({ name }) => `${escapeIdentifier(name)}${cast}`)
    return `select ${columns.join(', ')} from ${relation.table}${this.#where(bounds)}`
  }

  /** What bounds can't be written is left out: then there may seem to be rows where there are none. */
  presence({ relation, bounds }: Presence): string {
    return `select from ${relation.table}${this.#where(bounds)}`
  }

  #where(bounds: Bounds): string {
    const conditions = bounds.flatMap(({ column, choice }) => this.#condition(column, choice) ?? [])
    return conditions.length > 0 ? ` where ${conditions.join(' and ')}` : ''
  }

  #condition(column: Column, choice: Choice): string | undefined {
    const name = `${escapeIdentifier(column.name)}${column.kind === 'e' ? '::text' : ''}`
    switch (choice.kind) {
      case 'in':
        return choice.takesNull ? undefined : this.#list(name, column, choice)
      case 'any':
        return this.#list(name, column, choice)
      case 'not-in':
      case 'not-any':
        return this.#unlisted(name, column, choice)
      case 'null':
        return `${name} is null`
      case 'not-null':
        // Of a row not one field may be NULL: the log does not tell that.
        return column.kind === 'c' || column.kind === 'd' ? undefined : `${name} is not null`
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

  /** What can't be told may be left out. NULL differs from nothing, and nothing from NULL; where NULL is taken, another bound takes it. */
  #unlisted(name: string, column: Column, choice: Choice): string | undefined {
    const texts = listOf(column, choice, this.#parameters)
    if (!texts || texts.length === 0 || texts.length > VALUES_MAX) return undefined
    const takesNull = choice.kind === 'not-in' && choice.takesNull
    if (!takesNull && texts.includes(null)) return 'false'
    const values = texts.flatMap((text) => (typeof text === 'string' ? (this.#value(column, text) ?? []) : []))
    return values.length === 0 ? `${name} is not null` : `${name} not in (${values.join(', ')})`
  }

  /** A parameter. What the server would refuse as a value of the column equals none: a failed query would end a transaction. */
  #value(column: Column, text: string): string | undefined {
    if (text.includes('\0') || (INTEGERS.has(column.type) && !isInteger(column.type, text))) return undefined
    // The server takes a parameter's type from its first use: of another type's it might compare otherwise.
    const name = `${column.kind === 'e' ? TEXT : column.type} ${text}`
    const place = this.#places.get(name) ?? `$${this.values.push(text)}`
    this.#places.set(name, place)
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
