import pg from 'pg'
import type { FindTokens } from './identities.js'
import {
  createSession,
  endSession,
  findSessions,
  listSessions,
  type NewSession,
  type StoredSession,
} from './session-store.js'
import type { StoredToken } from './token.js'
import { createToken, findTokens, listTokens, type NewToken, revokeToken } from './token-store.js'

const CONNECT_MAX_MS = 1_200
const QUERY_MAX_MS = 1_200

/** Who has signed in, in the database. */
export interface SessionDatabase {
  readonly find: FindTokens
  /** Those that count, the newest first. */
  list(): Promise<StoredSession[]>
  /** @returns the cookie's value */
  create(wanted: NewSession): Promise<string>
  /** @returns whether there was such a session */
  end(id: string): Promise<boolean>
}

/** The tokens in the database, and the sessions. */
export interface TokenDatabase {
  readonly find: FindTokens
  list(): Promise<StoredToken[]>
  create(wanted: NewToken): Promise<StoredToken & { readonly token: string }>
  /** @returns whether there is such a token */
  revoke(id: string): Promise<boolean>
  readonly sessions: SessionDatabase
  close(): Promise<void>
}

/** Looks tokens up over a connection of its own, so that queries of resources don't hold it up. */
export function tokenDatabase(url: string): TokenDatabase {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: CONNECT_MAX_MS,
    query_timeout: QUERY_MAX_MS,
    statement_timeout: QUERY_MAX_MS,
    keepAlive: true,
    allowExitOnIdle: true,
    application_name: 'tidemark tokens',
  })
  // A connection that breaks while idle is replaced when it is next needed.
  pool.on('error', () => {})
  return {
    find: (ids) => findTokens(pool, ids),
    list: () => listTokens(pool),
    create: (wanted) => createToken(pool, wanted),
    revoke: (id) => revokeToken(pool, id),
    sessions: {
      find: (ids) => findSessions(pool, ids),
      list: () => listSessions(pool),
      create: (wanted) => createSession(pool, wanted),
      end: (id) => endSession(pool, id),
    },
    close: () => pool.end(),
  }
}
