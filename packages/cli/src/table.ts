/** One statement's answer, each value in PostgreSQL's text form. */
export interface Result {
  /** PostgreSQL's word for what was done, e.g. `UPDATE 1`; empty after a SELECT. */
  readonly tag: string
  readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/** An answer as psql prints it: a table and its number of rows, or the tag. */
export function formatResult({ tag, columns, rows }: Result): string {
  if (columns.length === 0) return `${tag}\n`
  const cells = rows.map((row) => row.map((value) => (value ?? '').split(/\r?\n/).map(printable)))
  const names = columns.map((column) => printable(column.name))
  const widths = names.map((name, at) => Math.max(width(name), ...cells.map((row) => Math.max(...row[at]!.map(width)))))
  const lines = [
    names.map((name, at) => ` ${center(name, widths[at]!)} `).join('|'),
    widths.map((size) => '-'.repeat(size + 2)).join('+'),
    ...cells.flatMap((row) => formatRow(row, columns, widths)),
    `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`,
  ]
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n\n${tag ? `${tag}\n` : ''}`
}

/** A value of several lines takes several lines; `+` stands where one goes on. */
function formatRow(
  row: readonly (readonly string[])[],
  columns: Result['columns'],
  widths: readonly number[],
): string[] {
  const height = Math.max(...row.map((lines) => lines.length))
  return Array.from({ length: height }, (_, line) =>
    row
      .map((lines, at) => {
        const text = lines[line] ?? ''
        const space = ' '.repeat(widths[at]! - width(text))
        return ` ${columns[at]!.isNumber ? space + text : text + space}${line < lines.length - 1 ? '+' : ' '}`
      })
      .join('|'),
  )
}

function center(text: string, size: number): string {
  const free = size - width(text)
  return ' '.repeat(Math.floor(free / 2)) + text + ' '.repeat(Math.ceil(free / 2))
}

/** Control characters could move the cursor or rename the window: they are shown by number, as psql does. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.codePointAt(0)!
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** Columns of a terminal: combining marks take none, wide East Asian letters and emoji two. */
function width(text: string): number {
  let columns = 0
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\u200d|\ufe0f/u.test(character)) continue
    columns +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        character,
      )
        ? 2
        : 1
  }
  return columns
}
