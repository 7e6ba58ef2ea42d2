/** A place in a text, as people count. */
export interface Place {
  /** From 1. */
  readonly line: number
  /** In characters, from 1. */
  readonly column: number
  /** The line, and a caret below the place. */
  readonly excerpt: string
}

/** How much of a long line is shown on either side of the place. */
const SIDE_MAX = 60

/** @param position  in characters, from 1, as PostgreSQL counts; beyond the end it is the end */
export function placeOf(text: string, position: number): Place {
  const before = [...text].slice(0, position - 1).join('')
  const start = before.lastIndexOf('\n') + 1
  const end = text.indexOf('\n', before.length)
  const left = [...before.slice(start)]
  const right = [...text.slice(before.length, end === -1 ? undefined : end).replace(/\r$/, '')]
  const shownLeft = left.slice(-SIDE_MAX).join('')
  const shownRight = right.slice(0, SIDE_MAX).join('')
  const line = `${left.length > SIDE_MAX ? '…' : ''}${shownLeft}`.replaceAll('\t', ' ')
  return {
    line: before.split('\n').length,
    column: left.length + 1,
    excerpt: `${line}${shownRight}${right.length > SIDE_MAX ? '…' : ''}\n${' '.repeat([...line].length)}^`,
  }
}
