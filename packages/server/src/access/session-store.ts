import { OWN_SCHEMA_SQL } from '@tidemark/postgres'
import type { Role } from './action.js'
import { ROLES } from './action.js'
import { drawToken, type StoredToken } from './token.js'
import type { Queries } from './token-store.js'

export interface NewSession {
  /** Who it is, as the journal names them. */
  readonly name: string
  /** The issuer's subject: the same in all of somebody's sessions. */
  readonly principal: string
  readonly roles: readonly Role[]
  readonly tenants: readonly string[] | 'all'
  readonly expiresInMs: number
}

export type StoredSession = StoredToken & { readonly principal: string; readonly expiresAt: Date }

/** Of one subject; who signs in once more ends their oldest. */
const OF_ONE_MAX = 20
const LISTED_MAX = 10_000

/** In the schema `tidemark`, whose tables are never followed. What has ended is deleted, so backups need none of it. */
const TABLE = `
  ${OWN_SCHEMA_SQL};
  create table if not exists tidemark.sessions (
    id text primary key, name text not null, principal text not null, hash bytea not null, roles text[] not null, tenants text[],
    created_at timestamptz not null default now(), expires_at timestamptz not null);
  create index if not exists sessions_principal on tidemark.sessions (principal)`

const COLUMNS = 'id, name, principal, hash, roles, tenants, created_at, expires_at'

interface Row {
  readonly id: string
  readonly name: string
  readonly principal: string
  readonly hash: Buffer
  readonly roles: string[]
  readonly tenants: string[] | null
  readonly created_at: Date
  readonly expires_at: Date
}

/** Makes the table if there is none, and one session; those that have expired go. @returns the cookie's value */
export async function createSession(sql: Queries, wanted: NewSession): Promise<string> {
  if (!(await isThere(sql))) await sql.query(TABLE)
  const { id, token, hash } = drawToken('session')
  const { name, principal, roles, tenants, expiresInMs } = wanted
  await sql.query(
    `insert into tidemark.sessions (id, name, principal, hash, roles, tenants, expires_at)
     values ($1, $2, $3, $4, $5, $6, now() + $7::float8 * interval '1 millisecond')`,
    [id, name, principal, hash, roles, tenants === 'all' ? null : tenants, expiresInMs],
  )
  await sql.query(
    `delete from tidemark.sessions where expires_at <= now() or id in
     (select id from tidemark.sessions where principal = $1 order by created_at desc, id = $2 desc offset ${OF_ONE_MAX})`,
    [principal, id],
  )
  return token
}

/** Those that count, the newest first. */
export async function listSessions(sql: Queries): Promise<StoredSession[]> {
  if (!(await isThere(sql))) return []
  const { rows } = await sql.query(
    `select ${COLUMNS} from tidemark.sessions where expires_at > now() order by created_at desc, id limit ${LISTED_MAX}`,
  )
  return (rows as Row[]).map(toSession)
}

export async function findSessions(
  sql: Queries,
  ids: readonly string[],
): Promise<(StoredSession & { readonly hash: Buffer })[]> {
  if (!(await isThere(sql))) return []
  const { rows } = await sql.query(`select ${COLUMNS} from tidemark.sessions where id = any($1)`, [ids])
  return (rows as Row[]).map((row) => ({ ...toSession(row), hash: row.hash }))
}

/** From then on it counts nowhere, within 5 s. @returns whether there was such a session */
export async function endSession(sql: Queries, id: string): Promise<boolean> {
  if (!(await isThere(sql))) return false
  const { rows } = await sql.query('delete from tidemark.sessions where id = $1 returning id', [id])
  return rows.length > 0
}

async function isThere(sql: Queries): Promise<boolean> {
  const { rows } = await sql.query("select to_regclass('tidemark.sessions') is not null as there")
  return (rows[0] as { there: boolean }).there
}

function toSession(row: Row): StoredSession {
  return {
    id: row.id,
    name: row.name,
    principal: row.principal,
    roles: ROLES.filter((role) => row.roles.includes(role)),
    tenants: row.tenants ?? 'all',
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: undefined,
  }
}
