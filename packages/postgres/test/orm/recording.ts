import pg from 'pg'
import type { CorpusQuery } from './schema.js'

/** A statement as an ORM wrote it. */
export interface Statement {
  readonly query: string
  readonly text: string
  readonly values: readonly unknown[]
}

/** A pool, and what ran on it while the queries of a corpus ran. */
export class Recording {
  readonly pool: pg.Pool
  #found: Statement[] = []
  #query = ''

  constructor(connectionString: string) {
    this.pool = new pg.Pool({ connectionString, max: 2 })
    this.pool.on('error', () => {})
    this.pool.on('connect', (client) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      Object.assign(client, {
        query: (...args: unknown[]) => {
          const [config, given] = args as [string | { text: string; values?: unknown[] }, unknown]
          const { text, values = [] } = typeof config === 'string' ? { text: config } : config
          this.#found.push({ query: this.#query, text, values: Array.isArray(given) ? given : values })
          return query(...args)
        },
      })
    })
  }

  /** The statements of the queries; of two that are the same, the first. */
  async statements(queries: readonly CorpusQuery[]): Promise<readonly Statement[]> {
    this.#found = []
    for (const { name, run } of queries) {
      this.#query = name
      await run()
    }
    return [...new Map(this.#found.map((each) => [each.text, each])).values()]
  }
}
