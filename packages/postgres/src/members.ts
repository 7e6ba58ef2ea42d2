import type { ClientConfig } from 'pg'
import { ClosedError } from 'tidemark'
import { OWN_SCHEMA_SQL } from './own-schema.js'
import { SqlConnection } from './wal/connection.js'
import { RightsError, sqlState } from './wal/errors.js'
import { connectSql } from './wal/server.js'

export interface MembersOptions {
  /** The address of the server itself, not of a pooler. */
  readonly url: string
  readonly ssl?: ClientConfig['ssl']
  /** Processes of one application find each other, and no others. */
  readonly application: string
  /** Default 1,000 ms. */
  readonly connectTimeoutMs?: number
  /** Default 1,000 ms. */
  readonly queryTimeoutMs?: number
}

/** What one process said last. */
export interface MemberEntry {
  readonly id: string
  /** Who came first has the lower one. */
  readonly order: number
  readonly text: string
}

const TABLE = 'tidemark.processes'
/** So many processes are told of each other. */
const MEMBERS_MAX = 1_000
// Not in the WAL: what processes say every two seconds is nothing that a crash should bring back, or that anybody follows.
const CREATE_TABLE = `create unlogged table if not exists ${TABLE} (
  application text, id text, place bigint generated always as identity, said text not null, primary key (application, id))`
const SAY = `
  with own as (insert into ${TABLE} as known (application, id, said) values ($1, $2, $3)
    on conflict (application, id) do update set said = excluded.said returning id, place, said)
  select id, place::text, said from own
  union all (select id, place::text, said from ${TABLE} where application = $1 and id <> $2 order by place limit ${MEMBERS_MAX})`
const FORGET = `delete from ${TABLE} where application = $1 and id = $2 and place = $3 and said = $4`
/** A right that is missing stays so for a while. */
const RIGHTS_LOOK_MS = 60_000

/**
 * A place in the database where processes that share nothing else find each other: a small table in the schema `tidemark`, made when it is
 * missing. It keeps no time: who is still there is for those to judge who read it. Nothing is connected before it is used.
 */
export function postgresMembers(options: MembersOptions): PostgresMembers {
  return new PostgresMembers(options)
}

export class PostgresMembers {
  readonly #application: string
  readonly #sql: SqlConnection
  #refused: { readonly error: RightsError; readonly at: number } | undefined
  #isClosed = false

  constructor({ url, ssl, application, connectTimeoutMs = 1_000, queryTimeoutMs = 1_000 }: MembersOptions) {
    this.#application = application
    const address = {
      url,
      applicationName: 'tidemark members',
      connectTimeoutMs,
      ...(ssl === undefined ? {} : { ssl }),
    }
    const settings = { statement_timeout: `${queryTimeoutMs}`, lock_timeout: `${queryTimeoutMs}` }
    this.#sql = new SqlConnection(() => connectSql(address, settings, undefined), queryTimeoutMs)
  }

  /**
   * Says something as the process `id`, in place of what it said before.
   *
   * @returns what all have said
   * @throws RightsError (`TIDEMARK_RIGHTS`) where the role may not make the table or write into it; what PostgreSQL says otherwise
   */
  async say(id: string, text: string): Promise<readonly MemberEntry[]> {
    if (this.#isClosed) throw new ClosedError('This process has left the others. Start it again.')
    // The server would log each refusal.
    if (this.#refused && performance.now() - this.#refused.at < RIGHTS_LOOK_MS) throw this.#refused.error
    try {
      return await this.#say(id, text)
    } catch (error) {
      if (!['42P01', '3F000'].includes(sqlState(error) ?? '')) throw await this.#known(error)
    }
    try {
      await this.#sql.rows(`${OWN_SCHEMA_SQL}; ${CREATE_TABLE}`)
      return await this.#say(id, text)
    } catch (error) {
      throw await this.#known(error)
    }
  }

  /** Takes out what a process said, unless it has said something else meanwhile. Throws as `say` does. */
  async forget({ id, order, text }: MemberEntry): Promise<void> {
    await this.#sql.rows(FORGET, [this.#application, id, order, text])
  }

  close(): void {
    this.#isClosed = true
    void this.#sql.close()
  }

  async #say(id: string, text: string): Promise<readonly MemberEntry[]> {
    const rows = await this.#sql.rows<{ id: string; place: string; said: string }>(SAY, [this.#application, id, text])
    return rows.map(({ id, place, said }) => ({ id, order: Number(place), text: said }))
  }

  async #known(error: unknown): Promise<unknown> {
    if (sqlState(error) !== '42501') return error
    const [own] = await this.#sql.rows<{ role: string }>('select quote_ident(current_user) as role')
    const grants = `grant usage on schema tidemark to ${own!.role}; grant select, insert, update, delete on ${TABLE} to ${own!.role}`
    const known = new RightsError(
      `The processes that follow this database find each other in the table ${TABLE}, which the role may not make or write into; all else goes on.`,
      `create schema if not exists tidemark; ${CREATE_TABLE.replace(/\s+/g, ' ')}; ${grants}`,
      { cause: error },
    )
    this.#refused = { error: known, at: performance.now() }
    return known
  }
}
