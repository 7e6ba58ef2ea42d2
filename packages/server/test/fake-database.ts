import { createCache, SourceDownError, TidemarkError } from 'tidemark'
import { FakeSource } from 'tidemark/testing'
import { quotasOf } from '../src/access/limits.js'
import { buildApp } from '../src/app.js'
import { parseConfig } from '../src/config/load.js'
import type { Description, ResourceContext, ResourceSource } from '../src/resources/source.js'

/** Refused SQL, as @tidemark/postgres tells it. */
class FakeSqlError extends TidemarkError {
  readonly code = 'TIDEMARK_SQL'
  constructor(
    message: string,
    readonly sqlState: string,
    readonly position?: number,
  ) {
    super(message)
  }
}

const OIDS: Readonly<Record<string, number>> = { id: 23, author: 20, title: 25 }

/** A database in memory that understands `select * from <table> [where <column> = $1]`. */
export class FakeDatabase implements ResourceSource {
  readonly fake = new FakeSource()
  readonly id = this.fake.id
  isDown = false
  /** SQLSTATE with which queries fail. */
  failure: string | undefined
  tables = new Set(['posts'])
  described = 0
  queries = 0

  openLog() {
    return this.fake.openLog()
  }

  context(reading: Parameters<FakeSource['context']>[0]): ResourceContext {
    const { db } = this.fake.context(reading)
    return {
      sql: {
        texts: async (text, values) => {
          this.queries++
          this.#refuse()
          if (this.failure) throw new FakeSqlError('It failed with secret values.', this.failure)
          const { table, column } = parts(text)
          const rows = await db.many(table, column === undefined ? {} : { [column]: values[0] as number })
          const columns = Object.keys(OIDS).map((name) => ({ name, oid: OIDS[name]! }))
          return {
            columns,
            rows: rows.map((row) => columns.map(({ name }) => (row[name] == null ? null : String(row[name])))),
          }
        },
      },
    }
  }

  explain = async () => ({ tables: [], notKept: [] })

  async describe(text: string): Promise<Description> {
    this.described++
    this.#refuse()
    if (text === 'select 1') return { parameters: [], columns: [{ name: '?column?', oid: 23 }] }
    const { table, column } = parts(text)
    if (!this.tables.has(table)) throw new FakeSqlError(`There is no table ${table}.`, '42P01', text.indexOf(table) + 1)
    const twice = text.includes('twice') ? [{ name: 'id', oid: 23 }] : []
    return {
      parameters: column === undefined ? [] : [OIDS[column]!],
      columns: [...Object.keys(OIDS).map((name) => ({ name, oid: OIDS[name]! })), ...twice],
    }
  }

  async close(): Promise<void> {}

  #refuse(): void {
    if (this.isDown) throw new SourceDownError('The database does not answer. Start it.')
  }
}

function parts(text: string): { table: string; column: string | undefined } {
  const [, table = '', column] = /^select \* from (\w+)(?: where (\w+) = \$1)?/.exec(text) ?? []
  return { table, column }
}

export const CONFIG = `resources:
  post: { params: { id: bigint }, sql: select * from posts where id = :id, one: true }
  feed: { params: { author: bigint }, sql: select * from posts where author = :author }
  top: { params: { author: { type: integer, default: 1 } }, sql: select * from posts where author = :author }
  posts: { sql: select * from posts }
`

interface FakeServerOptions extends Partial<Omit<Parameters<typeof buildApp>[0], 'config'>> {
  readonly database?: FakeDatabase
  /** The text of a configuration. */
  readonly config?: string
}

/** The real server and the real cache on a database in memory. */
export async function fakeServer({
  database = new FakeDatabase(),
  config = CONFIG,
  ...options
}: FakeServerOptions = {}) {
  const parsed = parseConfig(config)
  const { waitMax } = parsed.cache
  const l1 = { quotas: quotasOf(parsed.limits) }
  const cache = createCache({ source: database, l1, ...(waitMax === undefined ? {} : { waitMax }) })
  const app = await buildApp({ config: parsed, cache, source: database, logLevel: 'silent', ...options }).catch(
    async (error: unknown) => {
      await cache.close()
      throw error
    },
  )
  return {
    database,
    cache,
    app,
    async post(url: string, payload: object, headers: Record<string, string> = {}) {
      const response = await app.inject({ method: 'POST', url, payload, headers })
      return { status: response.statusCode, ...response.json() }
    },
    /** Stores values under plain keys, each with the tag that it begins with. */
    store: (...keys: string[]) =>
      Promise.all(keys.map((key) => cache.get(key, () => key, { tags: [key.split(':')[0]!] }))),
    isStored: (key: string) => cache.explain(key).stored,
    async close() {
      await app.close()
      await cache.close()
    },
  }
}
