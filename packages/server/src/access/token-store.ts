import { OWN_SCHEMA_SQL } from '@tidemark/postgres'
import { OptionError } from 'tidemark'
import { ROLES, type Role } from './action.js'
import { drawToken, type StoredToken } from './token.js'

/** What it needs of a client of PostgreSQL: `pg`'s pools and clients have it. */
export interface Queries {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: unknown[] }>
}

export interface NewToken {
  /** Whose it is, or what for: stands in the journal. */
  readonly name: string
  readonly roles: readonly Role[]
  readonly tenants: readonly string[] | 'all'
  /** undefined: never. */
  readonly expiresInMs: number | undefined
}

/** A token that is not expired or revoked counts; so many of them at most. */
const TOKENS_MAX = 10_000
const NAME = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,100}$/
const TENANT = /^[^\u0000-\u001f]{1,256}$/

/** In the schema `tidemark`, whose tables are never followed. The publication of all tables may have them: updates name the key. */
const TABLE = `
  ${OWN_SCHEMA_SQL};
  create table if not exists tidemark.tokens (
    id text primary key, name text not null, hash bytea not null, roles text[] not null, tenants text[],
    created_at timestamptz not null default now(), expires_at timestamptz, revoked_at timestamptz)`

const COLUMNS = 'id, name, hash, roles, tenants, created_at, expires_at, revoked_at'

interface Row {
  readonly id: string
  readonly name: string
  readonly hash: Buffer
  readonly roles: string[]
  readonly tenants: string[] | null
  readonly created_at: Date
  readonly expires_at: Date | null
  readonly revoked_at: Date | null
}

/**
 * Makes the table if there is none, and one token.
 *
 * @returns the token, which nobody can read again, and what is stored of it
 * @throws OptionError; what PostgreSQL refuses
 */
export async function createToken(sql: Queries, wanted: NewToken): Promise<StoredToken & { readonly token: string }> {
  check(wanted)
  await sql.query(TABLE)
  const { id, token, hash } = drawToken()
  const { rows } = await sql.query(
    `insert into tidemark.tokens (id, name, hash, roles, tenants, expires_at)
     select $1, $2, $3, $4, $5, now() + $6::float8 * interval '1 millisecond'
     where (select count(*) from tidemark.tokens where revoked_at is null and (expires_at is null or expires_at > now())) < $7
     returning ${COLUMNS}`,
    [
      id,
      wanted.name,
      hash,
      wanted.roles,
      wanted.tenants === 'all' ? null : wanted.tenants,
      wanted.expiresInMs ?? null,
      TOKENS_MAX,
    ],
  )
  const [row] = rows as Row[]
  if (!row) throw new OptionError(`There are ${TOKENS_MAX} tokens that count, the limit. Revoke some.`)
  return { token, ...toToken(row) }
}

/** All that were ever made, the newest first; none if nobody has made any. */
export async function listTokens(sql: Queries): Promise<StoredToken[]> {
  if (!(await isThere(sql))) return []
  const { rows } = await sql.query(
    `select ${COLUMNS} from tidemark.tokens order by created_at desc, id limit ${TOKENS_MAX * 2}`,
  )
  return (rows as Row[]).map(toToken)
}

/** From then on it counts nowhere, within 5 s. @returns whether there is such a token */
export async function revokeToken(sql: Queries, id: string): Promise<boolean> {
  if (!(await isThere(sql))) return false
  const { rows } = await sql.query(
    'update tidemark.tokens set revoked_at = coalesce(revoked_at, now()) where id = $1 returning id',
    [id],
  )
  return rows.length > 0
}

/** Those of these that there are, with their hashes. */
export async function findTokens(
  sql: Queries,
  ids: readonly string[],
): Promise<(StoredToken & { readonly hash: Buffer })[]> {
  if (!(await isThere(sql))) return []
  const { rows } = await sql.query(`select ${COLUMNS} from tidemark.tokens where id = any($1)`, [ids])
  return (rows as Row[]).map((row) => ({ ...toToken(row), hash: row.hash }))
}

/** Servers only read: where nobody has made a token, there is no table. */
async function isThere(sql: Queries): Promise<boolean> {
  const { rows } = await sql.query("select to_regclass('tidemark.tokens') is not null as there")
  return (rows[0] as { there: boolean }).there
}

function check({ name, roles, tenants, expiresInMs }: NewToken): void {
  if (!NAME.test(name))
    throw new OptionError("A token's name has 1 to 100 characters, none of them a control character.")
  if (roles.length === 0 || roles.some((role) => !ROLES.includes(role)))
    throw new OptionError(`A token has at least one role of ${ROLES.join(', ')}.`)
  if (
    tenants !== 'all' &&
    (tenants.length === 0 || tenants.length > 1_000 || !tenants.every((each) => TENANT.test(each)))
  )
    throw new OptionError(
      'A token has from 1 to 1,000 tenants, each of 1 to 256 characters without control characters; or all.',
    )
  if (expiresInMs !== undefined && !(expiresInMs > 0 && expiresInMs <= 100 * 365 * 86_400_000))
    throw new OptionError('A token expires after more than 0 ms and within 100 years; or never.')
}

/** What a later version knows and this one does not counts as nothing. */
function toToken(row: Row): StoredToken {
  return {
    id: row.id,
    name: row.name,
    roles: ROLES.filter((role) => row.roles.includes(role)),
    tenants: row.tenants ?? 'all',
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
  }
}

/** Tokens in a backup: their hashes. */
export const tokensBackup = {
  name: 'tokens',
  version: 1,
  tables: ['tidemark.tokens'],
  content: ['tidemark.tokens'],

  async prepare(sql: Queries): Promise<void> {
    await sql.query(TABLE)
  },

  async clear(sql: Queries): Promise<void> {
    // Whoever revoked a token since the backup meant it for good.
    await sql.query(`lock table tidemark.tokens in access exclusive mode;
      create temporary table revoked_since on commit drop as select id, revoked_at from tidemark.tokens where revoked_at is not null;
      delete from tidemark.tokens`)
  },

  async finish(sql: Queries): Promise<void> {
    await sql.query(`update tidemark.tokens t set revoked_at = r.revoked_at from revoked_since r
      where t.id = r.id and t.revoked_at is null`)
  },
} as const
