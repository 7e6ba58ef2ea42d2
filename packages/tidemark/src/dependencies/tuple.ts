/**
 * The values of a rows dependency as the key of a Map. One column: its value itself, small integers as numbers, which
 * take no memory of their own. Several: their texts, each with its length before it, so that no two tuples look alike.
 */
export type Tuple = string | number | null

export function tupleOf(values: readonly (string | null)[]): Tuple {
  return values.length === 1 ? single(values[0]!) : values.map(part).join('')
}

/** The tuple of the columns' values as `columnOf` tells them, or undefined if it does not know one of them. */
export function tupleFrom(
  columns: readonly string[],
  columnOf: (column: string) => string | null | undefined,
): Tuple | undefined {
  if (columns.length === 1) {
    const value = columnOf(columns[0]!)
    return value === undefined ? undefined : single(value)
  }
  let text = ''
  for (const column of columns) {
    const value = columnOf(column)
    if (value === undefined) return undefined
    text += part(value)
  }
  return text
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
