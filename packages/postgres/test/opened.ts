import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { type Cache, createCache, type NotKept } from 'tidemark'
import { expect } from 'vitest'
import { type PostgresOptions, type PostgresSource, postgres, type Sql } from '../src/index.js'

/** Waits for a condition; fails after 20 s, or another bound. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string) = '',
  boundMs = 45_000,
): Promise<void> {
  const bound = Date.now() + boundMs
  while (!(await condition())) {
    if (Date.now() > bound) throw new Error(`never came true: ${condition} ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Opened {
  readonly cache: Cache<{ sql: Sql }>
  readonly source: PostgresSource
}

/** A database with a schema, a client beside the cache, and caches that are closed with it. */
export class World {
  readonly database: TestDatabase
  readonly admin: pg.Client
  readonly #closers: (() => Promise<unknown>)[] = []

  private constructor(database: TestDatabase, admin: pg.Client) {
    this.database = database
    this.admin = admin
  }

  static async create(schema: string, settings?: Record<string, string>): Promise<World> {
    const database = await testDatabase(settings ? { settings } : {})
    const admin = new pg.Client({ connectionString: database.url })
    admin.on('error', () => {})
    await admin.connect()
    await admin.query(schema)
    return new World(database, admin)
  }

  /** A cache on the database, that keeps what it reads. */
  async open(options: Partial<PostgresOptions> = {}): Promise<Opened> {
    const source = postgres({ url: this.database.url, ...options })
    const cache = createCache({ source })
    this.#closers.push(() => cache.close())
    if (options.follow !== 'off')
      await until(
        () => cache.status().keeping && cache.status().current,
        () => JSON.stringify(cache.status()),
      )
    return { cache, source }
  }

  /** A cache that keeps a query's answer. What it returns says whether writes drop the answer; in any case it is right then. */
  async keeping(
    text: string,
    values: unknown[] = [],
    options: Partial<PostgresOptions> = {},
  ): Promise<(...writes: string[]) => Promise<boolean>> {
    const { cache } = await this.open(options)
    const read = () =>
      cache.get('q', ({ sql }: { sql: Sql }) => sql.query(text, values).then(({ rows }) => JSON.stringify(rows)))
    const isKept = () => cache.peek('q') !== undefined
    return async (...writes) => {
      await until(async () => (await read()) !== undefined && isKept())
      for (const write of writes) await this.admin.query(write)
      // It comes through the log after the writes.
      await cache.invalidate({ tags: ['nothing'] })
      const isDropped = !isKept()
      expect(await read()).toBe(JSON.stringify((await this.admin.query(text, values)).rows))
      return isDropped
    }
  }

  onClose(close: () => Promise<unknown>): void {
    this.#closers.push(close)
  }

  async closeCaches(): Promise<void> {
    while (this.#closers.length > 0) await this.#closers.pop()!()
  }

  async drop(): Promise<void> {
    await this.closeCaches()
    await this.admin.end().catch(() => {})
    await this.database.drop()
  }
}

let keys = 0

/** Why the answer of a loader is not kept; undefined if it is. Asks again while reasons pass that only take time. */
export async function notKept<Context extends object>(
  cache: Cache<Context>,
  load: Parameters<Cache<Context>['get']>[1],
  options: Parameters<Cache<Context>['get']>[2] = {},
): Promise<NotKept | undefined> {
  const passing = new Set<NotKept | undefined>([
    'overtaken',
    'unproven',
    'starting',
    'not-current',
    'not-following',
    'unfollowed-table',
  ])
  let reason: NotKept | undefined
  for (let tries = 0; tries < 40; tries++) {
    const key = `key${++keys}`
    await cache.get(key, load, options)
    reason = cache.explain(key).notKept
    if (!passing.has(reason)) return reason
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return reason
}
