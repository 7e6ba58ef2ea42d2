import { type PostgresSource, postgres, type Sql } from '@tidemark/postgres'
import pg from 'pg'
import { type Cache, createCache, type Definition, type Dependency, type Source } from 'tidemark'
import { MemoryL2 } from 'tidemark/testing'
import { type AnswerText, answerText, errorText, FreshAnswers, isErrorText, type Rows } from './answers.js'
import { isOfDefinitions } from './causes.js'
import { hasOrder, render } from './fragment.js'
import type { Round, Step, World } from './world.js'
import { textOf } from './writes.js'

/** An answer that is not what the database answers. */
export interface Mismatch {
  readonly query: number
  /** The step of the world at which it showed. */
  readonly step: number
  /** stale: the cache kept it. loaded: it was just loaded. late: it was dropped a moment later. */
  readonly kind: 'stale' | 'loaded' | 'late'
  readonly expected: AnswerText
  readonly got: AnswerText
}

/** An entry that one transaction dropped. */
export interface Drop {
  readonly query: number
  readonly step: number
  /** The answer is another one now. */
  readonly isNeeded: boolean
  readonly dependencies: readonly Dependency[]
  /** What the log said of the transaction: `public.a update` → 1. */
  readonly changes: Readonly<Record<string, number>>
  readonly writes: readonly string[]
}

export interface Observer {
  /** So many answers out of the cache's memory were compared, and so many that were just loaded. */
  checked(round: Round, kept: number, loaded: number): void
  dropped(drop: Drop, source: PostgresSource): Promise<void>
}

export interface RunOptions {
  readonly observer?: Observer
  /** Changes what the cache is told, to see whether the checker finds it. */
  readonly plant?: (source: Source<{ sql: Sql }>) => Source<{ sql: Sql }>
  /** A tier beside L1, which then holds a part of the queries only. */
  readonly hasL2?: boolean
  /** After a change of definitions the cache may be behind for as long as it takes the catalogue's poll. */
  readonly definitionsMs?: number
}

export interface Ran {
  readonly mismatch: Mismatch | undefined
  /** Queries that the database refused at first. */
  readonly refused: readonly number[]
  readonly failedWrites: readonly string[]
  readonly counters: Cache['counters']
}

/** Runs a world in a database of its own, until its end or the first mismatch. */
export async function runWorld(world: World, url: string, options: RunOptions = {}): Promise<Ran> {
  const run = new Run(world, url, options)
  try {
    return await run.run()
  } finally {
    await run.close()
  }
}

const CLIENTS = 3
const SETTLE_MS = 60_000
const DEFINITIONS_MS = 12_000
/** The catalogue is looked at once a second. */
const POLL_MS = 1_500
const NOT_KEPT_MAX = 5
const FILLS_MAX = 4
const L1_MAX_BESIDE_L2 = 60

class Run {
  readonly #world: World
  readonly #options: RunOptions
  readonly #clients: pg.Client[]
  readonly #source: PostgresSource
  readonly #cache: Cache<{ sql: Sql }>
  readonly #statements: readonly { text: string; values: readonly unknown[]; isOrdered: boolean }[]
  readonly #entry: Definition<[number], Rows>
  readonly #fresh: FreshAnswers
  /** Queries that the database takes. */
  #live: number[] = []
  /** What each kept entry answered at the last check, and what it depends on. */
  readonly #known = new Map<number, { value: Rows; text: AnswerText; dependencies: readonly Dependency[] }>()
  readonly #timesNotKept = new Map<number, number>()
  readonly #failedWrites: string[] = []
  #reads: Promise<unknown>[] = []
  /** Since the last check: what the log said, and what was written. */
  #changes: Record<string, number> = {}
  #writes: string[] = []

  constructor(world: World, url: string, options: RunOptions) {
    this.#world = world
    this.#options = options
    this.#clients = [...Array(CLIENTS + 1)].map(() => new pg.Client({ connectionString: url }))
    for (const client of this.#clients) client.on('error', () => {})
    this.#source = postgres({ url, ...world.limits })
    // With L2 most of what is dropped or evicted comes from there again, where stamps stand for dependencies.
    const tiers = options.hasL2 ? { l2: new MemoryL2(), l1: { maxEntries: L1_MAX_BESIDE_L2 } } : {}
    this.#cache = createCache({ source: options.plant?.(this.#source) ?? this.#source, ...tiers })
    this.#cache.on('notice', ({ code, message }) => {
      if (code === 'self-check') console.log(message)
    })
    this.#statements = world.queries.map(({ fragment }) => ({ ...render(fragment), isOrdered: hasOrder(fragment) }))
    this.#fresh = new FreshAnswers(this.#clients[CLIENTS]!, this.#statements)
    this.#entry = this.#cache.define('query', async ({ sql }, index: number) => {
      const { text, values } = this.#statements[index]!
      return (await sql.texts(text, values)).rows
    })
    this.#cache.on('applied', ({ changes }) => {
      for (const [name, count] of Object.entries(changes)) this.#changes[name] = (this.#changes[name] ?? 0) + count
    })
  }

  async run(): Promise<Ran> {
    await Promise.all(this.#clients.map((client) => client.connect()))
    for (const client of this.#clients.slice(0, CLIENTS)) await client.query("set lock_timeout = '100ms'")
    for (const write of this.#world.setup) await this.#write(0, textOf(write))
    const refused: number[] = []
    for (const [index, text] of await this.#fresh.of([...this.#world.queries.keys()])) {
      if (isErrorText(text)) refused.push(index)
      else this.#live.push(index)
    }
    await this.#started()
    const mismatch = (await this.#fill()) ?? (await this.#steps())
    return { mismatch, refused, failedWrites: this.#failedWrites, counters: this.#cache.counters }
  }

  async close(): Promise<void> {
    await this.#cache.close()
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})))
  }

  async #started(): Promise<void> {
    const end = performance.now() + SETTLE_MS
    while (!(this.#cache.status().keeping && this.#cache.status().current)) {
      if (performance.now() > end) throw new Error(`The cache does not start: ${JSON.stringify(this.#cache.status())}`)
      await pause(5)
    }
  }

  /** Loads every entry, until what can be kept is: at first the log may still tell of the making of the tables. */
  async #fill(): Promise<Mismatch | undefined> {
    for (let tries = 0; tries < FILLS_MAX; tries++) {
      const mismatch = await this.#check(-1, 'mixed')
      if (mismatch || this.#live.every((query) => this.#known.has(query))) return mismatch
      await pause(20)
    }
    return undefined
  }

  async #steps(): Promise<Mismatch | undefined> {
    for (const [index, step] of this.#world.steps.entries()) {
      const mismatch = await this.#step(index, step)
      if (mismatch) return mismatch
    }
    return undefined
  }

  async #step(index: number, step: Step): Promise<Mismatch | undefined> {
    switch (step.kind) {
      case 'write':
        await this.#write(step.client, textOf(step.write))
        return undefined
      case 'read':
        for (const query of step.queries) this.#reads.push(this.#entry(query).catch(() => {}))
        return undefined
      case 'check':
        return this.#check(index, step.round, step.only)
    }
  }

  async #write(client: number, text: string): Promise<void> {
    this.#writes.push(text)
    try {
      await this.#clients[client]!.query(text)
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error
      this.#failedWrites.push(`${error.code} ${error.message}: ${text}`)
    }
  }

  async #check(step: number, round: Round, only?: readonly number[]): Promise<Mismatch | undefined> {
    const definitionsMs = this.#options.definitionsMs ?? DEFINITIONS_MS
    const end = performance.now() + definitionsMs
    if (round === 'definitions') await this.#catalogueSeen(performance.now() + Math.min(POLL_MS, definitionsMs))
    for (;;) {
      await this.#settle()
      const mismatch = await this.#compare(step, round, only)
      // A change of definitions may be seen by the poll alone.
      if (mismatch === undefined || round !== 'definitions' || performance.now() > end) return mismatch
      await pause(100)
    }
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#reads)
    this.#reads = []
    await this.#cache.settled({ signal: AbortSignal.timeout(SETTLE_MS) })
  }

  async #catalogueSeen(end: number): Promise<void> {
    while (performance.now() < end && !Object.keys(this.#changes).some(isOfDefinitions)) await pause(10)
  }

  async #compare(step: number, round: Round, only?: readonly number[]): Promise<Mismatch | undefined> {
    const changes = this.#changes
    const writes = this.#writes
    const queries = only ? this.#live.filter((query) => only.includes(query)) : this.#live
    const fresh = await this.#fresh.of(queries)
    const missing: number[] = []
    let kept = 0
    for (const query of queries) {
      const expected = fresh.get(query)!
      const value = this.#entry.peek(query)
      const known = this.#known.get(query)
      if (value === undefined) {
        missing.push(query)
        if (known && round === 'single' && !this.#options.hasL2)
          await this.#options.observer?.dropped(
            { query, step, isNeeded: known.text !== expected, dependencies: known.dependencies, changes, writes },
            this.#source,
          )
        this.#known.delete(query)
        continue
      }
      kept++
      const got = value === known?.value ? known.text : answerText(value, this.#statements[query]!.isOrdered)
      if (got !== expected) return this.#confirm({ query, step, kind: 'stale', expected, got })
      if (value !== known?.value) this.#know(query, value, got)
    }
    this.#changes = {}
    this.#writes = []
    this.#live = this.#live.filter((query) => !isErrorText(fresh.get(query) ?? ''))
    const alive = missing.filter((query) => !isErrorText(fresh.get(query)!))
    const mismatches = await Promise.all(alive.map((query) => this.#load(query, step, fresh.get(query)!)))
    this.#options.observer?.checked(round, kept, alive.length)
    return mismatches.find((mismatch) => mismatch !== undefined)
  }

  async #load(query: number, step: number, expected: AnswerText): Promise<Mismatch | undefined> {
    const got = await this.#entry(query).then(
      (rows) => answerText(rows, this.#statements[query]!.isOrdered),
      (error: unknown) => errorText(error),
    )
    if (got !== expected) return { query, step, kind: 'loaded', expected, got }
    const value = this.#entry.peek(query)
    if (value !== undefined) this.#know(query, value, got)
    else this.#notKept(query)
    return undefined
  }

  #know(query: number, value: Rows, text: AnswerText): void {
    this.#timesNotKept.delete(query)
    const { dependencies } = this.#cache.explain(this.#entry.key(query))
    this.#known.set(query, { value, text, dependencies })
  }

  /** What is never kept is not asked for ever. */
  #notKept(query: number): void {
    const times = (this.#timesNotKept.get(query) ?? 0) + 1
    this.#timesNotKept.set(query, times)
    if (times >= NOT_KEPT_MAX) this.#live = this.#live.filter((each) => each !== query)
  }

  /** Says whether it is dropped after all, though the cache had settled. */
  async #confirm(mismatch: Mismatch): Promise<Mismatch> {
    await this.#settle()
    return this.#entry.peek(mismatch.query) === undefined ? { ...mismatch, kind: 'late' } : mismatch
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
