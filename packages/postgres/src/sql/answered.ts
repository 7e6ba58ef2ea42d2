import type { RowsDependency } from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import type { RowRead } from './analyse.js'
import { stored } from './canonical.js'
import type { Column } from './catalogue.js'
import type { Coarse } from './reads.js'
import { ordersOf } from './row-set.js'

/** What the server answered: which columns of which tables, and the rows. */
export interface Answered {
  readonly fields: readonly { readonly tableID: number; readonly columnID: number }[]
  readonly rowCount: number
  /** A cell of a row; undefined where it can't be told. */
  cell(row: number, field: number): unknown
}

/** The answer's rows by their identity, or why they can't stand in for old values. */
export function membersOf(
  read: RowRead,
  identity: FollowedTable | undefined,
  answered: Answered | undefined,
  membersMax: number,
): RowsDependency[] | Coarse {
  if (read.hidden) return read.hidden
  if (!answered) return 'unseen'
  if (answered.rowCount > membersMax) return 'too-many-members'
  const { relation } = read
  // Under FULL all of a row is told.
  const columns = [...(identity?.identity === 'full' ? relation.keys : (identity?.columns ?? []))].sort()
  const parts = columns.map((name) => {
    const column = relation.columns.find((each) => each.name === name)
    const field = column && fieldOf(column, read, answered.fields)
    return column && field !== undefined ? { column, field } : undefined
  })
  if (parts.length === 0 || !parts.every((part) => part !== undefined))
    return read.places ? 'self-join' : 'identity-not-selected'
  const orders = ordersOf(parts.map(({ column }) => column))
  const members: RowsDependency[] = []
  for (let row = 0; row < answered.rowCount; row++) {
    const values = parts.map(({ column, field }) => stored(column, answered.cell(row, field)))
    if (!values.every((value) => value !== undefined)) return 'type'
    members.push({ kind: 'rows', table: relation.table, columns, values, ...orders, old: 'coarse' })
  }
  return members
}

/** What a column of the answer shows, as the log has it; undefined if that is too much, or can't be told. */
export function shownValues(
  answered: Answered | undefined,
  place: number,
  column: Column,
  max: number,
): readonly string[] | undefined {
  if (!answered || answered.rowCount > max) return undefined
  const cells = [...Array(answered.rowCount).keys()].map((row) => answered.cell(row, place))
  const values = cells.flatMap((cell) => (cell === null ? [] : [stored(column, cell)]))
  return values.every((value) => value !== undefined) ? [...new Set(values)] : undefined
}

/** Which field of the answer shows a column. Of a table that is read twice, the field's description and the statement's list must agree. */
function fieldOf({ number }: Column, { relation, places }: RowRead, fields: Answered['fields']): number | undefined {
  const shows = (field: Answered['fields'][number] | undefined): boolean =>
    field?.tableID === relation.oid && field.columnID === number
  const place = places ? places.get(number) : fields.findIndex(shows)
  return place !== undefined && shows(fields[place]) ? place : undefined
}
