import type { Answered } from './answered.js'
import { stored, TIMESTAMPTZ, wireText } from './canonical.js'
import type { Ask } from './catalogue.js'
import type { Cut } from './cut.js'
import { chosen } from './values.js'

/** No more rows than this are asked for. */
const ROWS_MAX = 5_000

/**
 * Knows the last rows that LIMITs let through: the statement's own from its answer; a subquery's by running it before the statement does.
 *
 * The entry depends on the rows up to the end that was found, so what moves it, also in between, touches the entry.
 */
export class Ends {
  readonly #parameters: readonly unknown[]
  /** By the query's text: the end, or undefined if it can't be told. */
  readonly #asked = new Map<string, string | undefined>()

  /** @param parameters  the statement's values */
  constructor(parameters: readonly unknown[]) {
    this.#parameters = parameters
  }

  /** Asks for the end of a subquery, once. */
  async ask({ column, areNullsFirst, limit, shown }: Cut, ask: Ask): Promise<void> {
    if (typeof shown === 'number' || !('text' in shown) || this.#asked.has(shown.text)) return
    this.#asked.set(shown.text, undefined)
    const max = this.#countOf(limit)
    if (max === undefined || max > ROWS_MAX) return
    const values = shown.parameters.map((number) => this.#parameters[number - 1])
    const { count, nulls, end } = JSON.parse(await ask(shown.text, values)) as Record<'count' | 'nulls', number> & {
      end: string | null
    }
    if (count >= max && end !== null && (areNullsFirst || nulls === 0)) this.#asked.set(shown.text, stored(column, end))
  }

  /** Whether the end that was found is of before the statement ran. */
  wasAsked({ shown }: Cut): boolean {
    return typeof shown !== 'number' && 'text' in shown && this.#asked.get(shown.text) !== undefined
  }

  /**
   * The value of the last row, as the log has it; undefined if there are not as many rows as may be, or it can't be told.
   *
   * @param isSingle  whether the statement reads the table, by its OID, in one place only
   */
  of(cut: Cut, answered: Answered | undefined, isSingle: (table: number) => boolean): string | undefined {
    const { column, isDescending, limit, shown } = cut
    if (typeof shown !== 'number' && 'text' in shown) return this.#asked.get(shown.text)
    const max = this.#countOf(limit)
    if (!answered || max === undefined || answered.rowCount < max) return undefined
    const field = typeof shown === 'number' ? shown : isSingle(shown.table) ? placeIn(answered, shown) : -1
    if (field < 0) return undefined
    const value = answered.cell(answered.rowCount - 1, field)
    // A driver's Date has lost what is below a millisecond.
    if (!(value instanceof Date) || column.type !== TIMESTAMPTZ) return stored(column, value)
    const moment = wireText(new Date(value.getTime() + (isDescending ? -1 : 1)))
    return typeof moment === 'string' ? stored(column, moment) : undefined
  }

  /** A LIMIT of at least one row. */
  #countOf(limit: Cut['limit']): number | undefined {
    const single = chosen(limit, this.#parameters)
    const text = 'constant' in single ? single.constant : wireText(this.#parameters[single.parameter - 1])
    return /^[1-9][0-9]*$/.test(text ?? '') ? Number(text) : undefined
  }
}

function placeIn({ fields }: Answered, { table, number }: { table: number; number: number }): number {
  return fields.findIndex(({ tableID, columnID }) => tableID === table && columnID === number)
}
