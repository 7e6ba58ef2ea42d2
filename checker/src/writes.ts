import { type Fragment, list, raw, render, simplified, sql } from './fragment.js'

/** A statement that makes or changes something, in pieces that can be left out. */
export type Write =
  | {
      readonly kind: 'create'
      readonly table: string
      readonly columns: readonly { readonly name: string; readonly definition: string }[]
      /** What follows the columns: constraints, and what comes after the parenthesis. */
      readonly constraints: readonly string[]
      readonly rest: string
    }
  | {
      readonly kind: 'rows'
      readonly table: string
      readonly columns: readonly string[]
      /** Expressions. */
      readonly rows: readonly (readonly string[])[]
      readonly rest: string
    }
  | { readonly kind: 'sql'; readonly fragment: Fragment }

export function statement(text: string): Write {
  return { kind: 'sql', fragment: raw(text) }
}

export function textOf(write: Write): string {
  switch (write.kind) {
    case 'create': {
      const columns = write.columns.map(({ name, definition }) => `${name} ${definition}`)
      return `create table ${write.table} (${[...columns, ...write.constraints].join(', ')})${write.rest}`
    }
    case 'rows': {
      const rows = write.rows.map((row) => `(${row.join(', ')})`)
      return `insert into ${write.table} (${write.columns.join(', ')}) values ${rows.join(', ')}${write.rest}`
    }
    case 'sql':
      return render(write.fragment).text
  }
}

/** The same, made smaller in each possible way. */
export function* simplerWrites(write: Write): Generator<Write> {
  if (write.kind === 'sql') {
    for (const fragment of simplified(write.fragment)) yield { kind: 'sql', fragment }
  } else if (write.kind === 'rows') {
    if (write.rest !== '') yield { ...write, rest: '' }
    const { length } = write.rows
    for (let size = Math.ceil(length / 2); size > 0 && length > 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < length; at += size) {
        const rows = write.rows.toSpliced(at, size)
        if (rows.length > 0) yield { ...write, rows }
      }
    }
  } else {
    for (const index of write.constraints.keys()) yield { ...write, constraints: write.constraints.toSpliced(index, 1) }
  }
}

/** The same without a column of a table, where it is named in a list; undefined if nothing is left. */
export function withoutColumn(write: Write, table: string, column: string): Write | undefined {
  if (write.kind === 'sql' || write.table !== table) return write
  if (write.kind === 'create') return { ...write, columns: write.columns.filter(({ name }) => name !== column) }
  const index = write.columns.indexOf(column)
  if (index < 0) return write
  if (write.columns.length === 1) return undefined
  return {
    ...write,
    columns: write.columns.toSpliced(index, 1),
    rows: write.rows.map((row) => row.toSpliced(index, 1)),
  }
}

/** `update … set`, with assignments that may be left out. */
export function update(table: string, assignments: readonly string[], where: string): Write {
  return {
    kind: 'sql',
    fragment: sql`update ${table} set ${list(assignments.map(raw), ', ')}${where && ` where ${where}`}`,
  }
}
