/**
 * What an entry was computed from. Tags and keys carry their tenant; rows and tables belong to the source.
 *
 * `rows`: the rows of `table` whose `columns` (sorted by name) equal `values`, in the canonical text of the column's type as the
 * log sends it; null stands for IS NULL. `old` says what happens when a change does not tell the columns' old values:
 * `members`: other dependencies of the same entry name every row of its answer by identity, so the new image suffices;
 * `coarse`: the change counts as touching every entry of this shape.
 */
export type Dependency =
  | { readonly kind: 'tag'; readonly tenant: string; readonly tag: string }
  | { readonly kind: 'key'; readonly tenant: string; readonly key: string }
  | { readonly kind: 'table'; readonly table: string }
  | {
      readonly kind: 'rows'
      readonly table: string
      readonly columns: readonly string[]
      readonly values: readonly (string | null)[]
      readonly old: 'members' | 'coarse'
    }
