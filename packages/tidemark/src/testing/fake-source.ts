import type { Image, RowChange } from '../log/change.js'
import type { Reading, Source } from '../source.js'
import { FakeLog } from './fake-log.js'

type Row = Readonly<Record<string, string | number | boolean | null>>
type Where = Readonly<Record<string, string | number | boolean | null>>

/** What loaders get from a `FakeSource`: reads of its tables that gather their dependencies, as `sql` does. */
export interface FakeReads {
  one(table: string, where: Where): Promise<Row | null>
  many(table: string, where?: Where): Promise<Row[]>
}

let sources = 0

/**
 * A source of truth in memory for tests of code that uses Tidemark: tables of rows with an `id`, a log that follows their
 * changes, and a switch for everything that can go wrong (`log`).
 *
 * ```ts
 * const source = new FakeSource()
 * const cache = createCache({ source })
 * const post = cache.define('post', ({ db }, id: number) => db.one('posts', { id }))
 * source.put('posts', { id: 1, title: 'a' })
 * ```
 */
export class FakeSource implements Source<{ db: FakeReads }> {
  readonly id = `fake-${++sources}`
  readonly log = new FakeLog()
  readonly #tables = new Map<string, Map<string, Row>>()
  /** How often loaders read. */
  reads = 0
  /** While true, reads fail. */
  isDown = false
  /** Awaited by each read before it looks: hold it to order a read and a change. */
  gate: Promise<void> | undefined

  openLog(): FakeLog {
    return this.log
  }

  /** Inserts or replaces the row of this `id`, and writes the change to the log. */
  put(table: string, row: Row): void {
    const rows = this.#rows(table)
    const before = rows.get(String(row.id))
    rows.set(String(row.id), row)
    this.#write({
      kind: 'row',
      op: before ? 'update' : 'insert',
      table,
      old: before ? image(before) : null,
      new: image(row),
    })
  }

  /** Deletes the row of this `id`. */
  delete(table: string, id: string | number): void {
    const before = this.#rows(table).get(String(id))
    if (!before) return
    this.#rows(table).delete(String(id))
    this.#write({ kind: 'row', op: 'delete', table, old: image(before), new: null })
  }

  context(reading: Reading): { db: FakeReads } {
    const many = async (table: string, where: Where = {}): Promise<Row[]> => {
      const columns = Object.keys(where).sort()
      if (columns.length === 0) reading.depend({ kind: 'table', table })
      else
        reading.depend({
          kind: 'rows',
          table,
          columns,
          values: columns.map((column) => text(where[column])),
          old: 'coarse',
        })
      this.reads++
      await this.gate
      if (this.isDown) throw new Error('The fake source is down.')
      return [...this.#rows(table).values()].filter((row) =>
        columns.every((column) => text(row[column]) === text(where[column])),
      )
    }
    return { db: { many, one: async (table, where) => (await many(table, where))[0] ?? null } }
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  #rows(table: string): Map<string, Row> {
    let rows = this.#tables.get(table)
    if (!rows) {
      rows = new Map()
      this.#tables.set(table, rows)
    }
    return rows
  }

  #write(change: RowChange): void {
    this.log.write([change])
  }
}

function image(row: Row): Image {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, text(value)]))
}

function text(value: string | number | boolean | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value)
}
