/** What the parameters' values make of something; undefined where that can't be told of any values, or of these. */
export type Made<T> = ((parameters: readonly unknown[]) => T | undefined) | undefined

export function told<T>(value: T): Made<T> {
  return () => value
}

export function made<Part, Whole>(
  parts: readonly Made<Part>[],
  join: (parts: readonly Part[]) => Whole | undefined,
): Made<Whole> {
  if (!parts.every((part) => part !== undefined)) return undefined
  return (parameters) => {
    const each = parts.map((part) => part(parameters))
    return each.every((part) => part !== undefined) ? join(each) : undefined
  }
}

export function made2<One, Other, Whole>(
  left: Made<One>,
  right: Made<Other>,
  join: (left: One, right: Other) => Whole | undefined,
): Made<Whole> {
  if (!left || !right) return undefined
  return (parameters) => {
    const [first, second] = [left(parameters), right(parameters)]
    return first === undefined || second === undefined ? undefined : join(first, second)
  }
}
