import { keyOf, type Order } from './order.js'

/**
 * The values of a rows dependency as the key of a Map. One column: its value itself, small integers as numbers, which
 * take no memory of their own. Several: their texts, each with its length before it, so that no two tuples look alike.
 * Under another order than that of texts, the text of the value's key.
 */
export type Tuple = string | number | null

export function tupleOf(values: readonly (string | null)[], orders: readonly Order[] | undefined): Tuple {
  // A value without a key equals none that has one.
  const texts = orders ? values.map((value, i) => keyText(value, orders[i]!) ?? value) : values
  return texts.length === 1 ? single(texts[0]!) : texts.map(part).join('')
}

/** The tuple of the columns' values as `columnOf` tells them, or undefined if it does not know one of them. */
export function tupleFrom(
  columns: readonly string[],
  orders: readonly Order[] | undefined,
  columnOf: (column: string) => string | null | undefined,
): Tuple | undefined {
  if (columns.length === 1) {
    const value = textOf(columns, orders, 0, columnOf)
    return value === undefined ? undefined : single(value)
  }
  let text = ''
  for (let i = 0; i < columns.length; i++) {
    const value = textOf(columns, orders, i, columnOf)
    if (value === undefined) return undefined
    text += part(value)
  }
  return text
}

function textOf(
  columns: readonly string[],
  orders: readonly Order[] | undefined,
  i: number,
  columnOf: (column: string) => string | null | undefined,
): string | null | undefined {
  const value = columnOf(columns[i]!)
  return orders && value !== undefined ? keyText(value, orders[i]!) : value
}

function keyText(value: string | null, order: Order): string | null | undefined {
  if (value === null || order === 'text') return value
  const key = keyOf(order, value)
  return key === undefined ? undefined : String(key)
}

/** The values that made the tuple. */
export function valuesOf(tuple: Tuple, columns: number): (string | null)[] {
  if (columns === 1) return [tuple === null ? null : String(tuple)]
  const text = String(tuple)
  const values: (string | null)[] = []
  let at = 0
  while (at < text.length) {
    if (text[at] === '~') {
      values.push(null)
      at += 1
      continue
    }
    const start = text.indexOf(':', at) + 1
    const end = start + Number(text.slice(at, start - 1))
    values.push(text.slice(start, end))
    at = end
  }
  return values
}

function single(value: string | null): Tuple {
  if (value === null || value.length > 10) return value
  const number = Number(value) | 0
  return String(number) === value ? number : value
}

function part(value: string | null): string {
  return value === null ? '~' : `${value.length}:${value}`
}
