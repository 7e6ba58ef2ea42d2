import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { type PostgresOptions, type PostgresSource, postgres, type Sql } from '@tidemark/postgres'
import pg from 'pg'
import { type Cache, createCache, type Duration } from 'tidemark'
import { openTrees, type Trees, type TreesOptions } from '../src/index.js'

/** Waits for a condition; fails after `boundMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: () => string = () => '',
  boundMs = 45_000,
): Promise<void> {
  const bound = Date.now() + boundMs
  while (!(await condition())) {
    if (Date.now() > bound) throw new Error(`never came true: ${condition} ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Process {
  readonly cache: Cache<{ sql: Sql }>
  readonly source: PostgresSource
  readonly trees: Trees
}

/** A database, and processes that follow it. */
export class World {
  readonly database: TestDatabase
  readonly admin: pg.Client
  readonly #closers: (() => Promise<unknown>)[] = []

  private constructor(database: TestDatabase, admin: pg.Client) {
    this.database = database
    this.admin = admin
  }

  /** @param settings  of a PostgreSQL of its own */
  static async create(settings?: Readonly<Record<string, string>>): Promise<World> {
    const database = await testDatabase(settings ? { settings } : {})
    const admin = new pg.Client({ connectionString: database.url })
    admin.on('error', () => {})
    await admin.connect()
    return new World(database, admin)
  }

  async open(
    options: Partial<Omit<TreesOptions, 'cache' | 'source'>> &
      Pick<Partial<PostgresOptions>, 'url' | 'slot' | 'journal'> & { readonly hardTimeout?: Duration } = {},
  ): Promise<Process> {
    const { url = this.database.url, slot, journal = false, hardTimeout, ...rest } = options
    const source = postgres({ url, journal, ...(slot === undefined ? {} : { slot }) })
    const cache = createCache({ source, ...(hardTimeout === undefined ? {} : { defaults: { hardTimeout } }) })
    this.#closers.push(() => cache.close())
    const trees = await openTrees({ cache, source, ...rest })
    await until(
      () => cache.status().keeping && cache.status().current,
      () => JSON.stringify(cache.status()),
    )
    return { cache, source, trees }
  }

  async drop(): Promise<void> {
    while (this.#closers.length > 0) await this.#closers.pop()!()
    await this.admin.end().catch(() => {})
    await this.database.drop()
  }
}
