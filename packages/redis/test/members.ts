import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { type PostgresOptions, postgres, type Sql } from '@tidemark/postgres'
import pg from 'pg'
import { type Cache, createCache, type L2 } from 'tidemark'
import { redisRelay } from '../src/index.js'
import { RedisServer, until } from './redis-server.js'

/** A process of the application, as far as a test can be several of them. */
export interface Member {
  readonly cache: Cache<{ sql: Sql }>
  /** The counter's value as this process answers it. */
  ask(id: number, minPosition?: string): Promise<{ value: number; state: string; from: string }>
}

let joined = 0

/** Processes on one PostgreSQL and one Redis: one reads the WAL, the others what it relays. */
export class Members {
  readonly database: TestDatabase
  readonly server: RedisServer
  readonly admin: pg.Client
  all: Member[] = []

  private constructor(database: TestDatabase, server: RedisServer, admin: pg.Client) {
    this.database = database
    this.server = server
    this.admin = admin
  }

  /** With the table `counters`: 20 rows, `n` is 0. @param settings  of a PostgreSQL of its own */
  static async create(settings?: Readonly<Record<string, string>>): Promise<Members> {
    const [database, server] = await Promise.all([testDatabase(settings ? { settings } : {}), RedisServer.start()])
    const admin = new pg.Client({ connectionString: database.url })
    admin.on('error', () => {})
    await admin.connect()
    await admin.query('create table counters (id int primary key, n int not null)')
    await admin.query('insert into counters select i, 0 from generate_series(1, 20) i')
    return new Members(database, server, admin)
  }

  /** Another process, which keeps what it reads. */
  async join(options: Partial<PostgresOptions> = {}, l2?: L2): Promise<Member> {
    const relay = redisRelay({ url: this.server.url, secret: 'ours', commandTimeoutMs: 500 })
    // Another address for each: caches of one source in a process share its log.
    const { url } = this.database
    const own = `${url}${url.includes('?') ? '&' : '?'}application_name=member${++joined}`
    const source = postgres({ url: own, slot: 'app', secret: 'ours', relay, ...options })
    const cache = createCache({ source, waitMax: 10_000, ...(l2 ? { l2 } : {}) })
    const counter = cache.define(
      'counter',
      ({ sql }, id: number) => sql.one<{ n: number }>`select n from counters where id = ${id}`,
    )
    const member: Member = {
      cache,
      async ask(id, minPosition) {
        const { value, state, from } = await counter.with(minPosition === undefined ? {} : { minPosition }).ask(id)
        return { value: value!.n, state, from }
      },
    }
    this.all.push(member)
    await isReady(member)
    return member
  }

  get roles(): (string | undefined)[] {
    return this.all.map(({ cache }) => cache.status().log.role)
  }

  get leader(): Member {
    return this.all[this.roles.indexOf('leader')]!
  }

  get follower(): Member {
    return this.all[this.roles.indexOf('follower')]!
  }

  /** Adds one, and returns the position to read it at. */
  async add(id: number): Promise<string> {
    await this.admin.query('update counters set n = n + 1 where id = $1', [id])
    const { rows } = await this.admin.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
    return rows[0]!.lsn
  }

  async drop(): Promise<void> {
    await Promise.all(this.all.map(({ cache }) => cache.close()))
    await this.admin.end().catch(() => {})
    await Promise.all([this.database.drop(), this.server.drop()])
  }
}

export const isReady = ({ cache }: Member): Promise<void> =>
  until(() => cache.status().keeping && cache.status().current, JSON.stringify(cache.status()))

export const keeps = (member: Member, id: number): Promise<void> =>
  until(async () => (await member.ask(id)).from === 'l1')
