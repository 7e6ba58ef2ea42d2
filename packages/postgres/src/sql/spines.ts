import type { Condition, RowsDependency } from 'tidemark'
import type { RowRead } from './analyse.js'
import type { Asked } from './asked.js'
import { equalityOf, stored } from './canonical.js'
import type { Ask } from './catalogue.js'
import { ordersOf, type RowSet } from './row-set.js'
import { SPINE_MAX } from './spine.js'

/** Where an answer was made of too many rows to follow them one by one, it is asked again at one fill in so many: of other values they may be few. */
const LARGE_EVERY = 16
/** How many fills of such a statement were not asked for since. */
const LARGE = new WeakMap<Asked, number>()

type Lines = readonly (readonly (string | null)[])[]

/**
 * Knows the rows that an answer is made of where it does not show them.
 *
 * Asked before the statement runs: what comes into it meanwhile, or later, touches the entry, as it comes into what its tables' bounds name.
 */
export class Spines {
  readonly #parameters: readonly unknown[]
  /** By the query's text. */
  readonly #found = new Map<string, Lines | undefined>()

  /** @param parameters  the statement's values */
  constructor(parameters: readonly unknown[]) {
    this.#parameters = parameters
  }

  /** Asks once, where it is likely to be of use. */
  async ask(asked: Asked, ask: Ask): Promise<void> {
    const { text, parameters } = asked
    if (this.#found.has(text)) return
    this.#found.set(text, undefined)
    const since = LARGE.get(asked)
    if (since !== undefined && since < LARGE_EVERY - 1) {
      LARGE.set(asked, since + 1)
      return
    }
    LARGE.delete(asked)
    const lines = JSON.parse(
      await ask(
        text,
        parameters.map((number) => this.#parameters[number - 1]),
      ),
    ) as Lines
    if (lines.length > SPINE_MAX) LARGE.set(asked, 0)
    else this.#found.set(text, lines)
  }

  /**
   * The rows by their keys, as far as they are in one of some sets, too; undefined where they are not known.
   *
   * @param max  of more it is not known
   */
  membersOf(
    { relation, spine }: Pick<RowRead, 'relation' | 'spine'>,
    max: number,
    sets: readonly RowSet[],
  ): RowsDependency[] | undefined {
    const lines = spine && this.#found.get(spine.asked.text)
    if (!lines) return undefined
    const keys = relation.keys.map((key, index) => ({
      column: relation.columns.find(({ name }) => name === key)!,
      at: spine.at + index,
    }))
    const parts = keys.sort((left, right) => (left.column.name < right.column.name ? -1 : 1))
    const orders = ordersOf(parts.map(({ column }) => column))
    const members = new Map<string, RowsDependency>()
    for (const line of lines) {
      const values = parts.map(({ column, at }) => stored(column, line[at]))
      if (!values.every((value) => value !== undefined)) return undefined
      const columns = parts.map(({ column }) => column.name)
      members.set(JSON.stringify(values), {
        kind: 'rows',
        table: relation.table,
        columns,
        values,
        ...orders,
        old: 'coarse',
      })
      if (members.size <= max) continue
      LARGE.set(spine.asked, 0)
      return undefined
    }
    const rows = [...members.values()]
    return sets.length > SETS_MAX ? rows : sets.flatMap((set) => rows.map((row) => within(row, set)))
  }
}

/** Of more sets it is not said which of them a row is in. */
const SETS_MAX = 3

function within(row: RowsDependency, { equal, range, also }: RowSet): RowsDependency {
  const named = equal.flatMap(({ column, values }): Condition[] => {
    const texts = values.filter((value) => value !== null)
    if (texts.length === 0) return [{ is: 'null', column: column.name }]
    const isMixed = texts.length < values.length
    return isMixed ? [] : [{ is: 'in', column: column.name, order: equalityOf(column) ?? 'text', values: texts }]
  })
  const all = [...also, ...named]
  return { ...row, ...(range ? { range } : {}), ...(all.length > 0 ? { also: all } : {}) }
}
