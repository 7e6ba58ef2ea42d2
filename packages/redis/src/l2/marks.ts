import type { L2Mark } from 'tidemark'
import { dependencyId, shapeId } from './ids.js'
import type { Argument } from './scripts/script.js'

/** Marks as arguments of `invalidateScript`, in slices that no other client of Redis has to wait long for. */
export interface MarkSlice {
  /** The position of the last of them; 0 if there are none. */
  readonly last: number
  /** The same of those that only let expire. */
  readonly lastExpiry: number
  /** Pairs of position and shape. */
  readonly shapes: readonly Argument[]
  /** Triples of position, shape and text. */
  readonly patterns: readonly Argument[]
  /** Pairs of position and dependency. */
  readonly dependencies: readonly Argument[]
}

const SLICE_MAX = 5_000

/** At least one slice. */
export function encodeMarks(marks: readonly L2Mark[]): MarkSlice[] {
  const slices: MarkSlice[] = []
  for (let from = 0; from === 0 || from < marks.length; from += SLICE_MAX) {
    const shapes: Argument[] = []
    const patterns: Argument[] = []
    const dependencies: Argument[] = []
    let last = 0
    let lastExpiry = 0
    for (const { lsn, shape, name, pattern, isExpiry } of marks.slice(from, from + SLICE_MAX)) {
      if (lsn > last) last = lsn
      if (isExpiry && lsn > lastExpiry) lastExpiry = lsn
      if (pattern !== undefined) patterns.push(lsn, shapeId(shape), pattern)
      else if (name === undefined) shapes.push(lsn, shapeId(shape))
      else dependencies.push(lsn, dependencyId({ shape, name }, isExpiry))
    }
    slices.push({ last, lastExpiry, shapes, patterns, dependencies })
  }
  return slices
}
