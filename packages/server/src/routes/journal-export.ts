import { csvLine, type ReadRecord } from '@tidemark/postgres'

type Pages = AsyncGenerator<readonly ReadRecord[]>

/** Records as the lines of a file, a page at a time. Lists are JSON in CSV's cells. */
export async function* exported(
  first: IteratorResult<readonly ReadRecord[]>,
  pages: Pages,
  format: 'csv' | 'ndjson',
  shown: (record: ReadRecord) => Readonly<Record<string, unknown>>,
): AsyncGenerator<string> {
  try {
    if (format === 'csv') yield csvLine(COLUMNS)
    for (let page = first; !page.done; page = await pages.next()) {
      const lines = page.value.map((record) => {
        const fields = shown(record)
        return format === 'csv' ? csvLine(COLUMNS.map((name) => cellOf(fields[name]))) : `${JSON.stringify(fields)}\n`
      })
      yield lines.join('')
    }
  } finally {
    // Whoever took them left: the connection is given back.
    await pages.return(undefined)
  }
}

const COLUMNS = [
  'id',
  'seq',
  'tenant',
  'origin',
  'position',
  'timestamp',
  'pattern',
  'keys',
  'tags',
  'tables',
  'mode',
  'triggered_by',
  'request_id',
  'cause',
  'latency_ms',
  'process',
  'detail',
  'created_at',
  'hash',
]

function cellOf(value: unknown): string | number | null {
  if (value === null || value === undefined) return null
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)
}
