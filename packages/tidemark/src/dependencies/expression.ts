/** What a pattern says, whatever syntax it is written in. It is looked for anywhere in a text. */
export type Expression =
  /** One character (code point) of those from and to, one range behind the other, in order and apart. */
  | { readonly kind: 'point'; readonly ranges: readonly number[] }
  | { readonly kind: 'begin' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly part: Expression; readonly min: number; readonly max: number }

export const POINT_MAX = 0x10ffff

export const ANY_POINT: Expression = { kind: 'point', ranges: [0, POINT_MAX] }
export const ANY_TEXT: Expression = { kind: 'repeat', part: ANY_POINT, min: 0, max: Number.POSITIVE_INFINITY }

export function pointOf(point: number): Expression {
  return { kind: 'point', ranges: [point, point] }
}

/** The same ranges in order, and apart. */
export function inOrder(ranges: readonly number[]): number[] {
  const pairs: [number, number][] = []
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!])
  pairs.sort(([a], [b]) => a - b)
  const ordered: number[] = []
  for (const [from, to] of pairs) {
    const last = ordered.length - 1
    if (last > 0 && from <= ordered[last]! + 1) ordered[last] = Math.max(ordered[last]!, to)
    else ordered.push(from, to)
  }
  return ordered
}

/** All that is in none of the ranges, which are in order. */
export function allBut(ranges: readonly number[]): number[] {
  const others: number[] = []
  let from = 0
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i]! > from) others.push(from, ranges[i]! - 1)
    from = ranges[i + 1]! + 1
  }
  if (from <= POINT_MAX) others.push(from, POINT_MAX)
  return others
}
