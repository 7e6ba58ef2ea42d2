/** How many rows of a table were changed, by what was done to them; and how often all of them went at once. */
export interface RowCounts {
  insert: number
  update: number
  delete: number
  truncate: number
}

export type Counted = keyof RowCounts

/** Of a table that a large transaction changed. `isExact`: else what was rolled back in parts may be among it. */
export interface TableCounts extends Readonly<RowCounts> {
  readonly isExact: boolean
}

export function noRows(): RowCounts {
  return { insert: 0, update: 0, delete: 0, truncate: 0 }
}

export function addRows(to: RowCounts, counts: RowCounts): void {
  to.insert += counts.insert
  to.update += counts.update
  to.delete += counts.delete
  to.truncate += counts.truncate
}
