import pg from 'pg'
import type { FindTokens } from './identities.js'
import { findTokens } from './token-store.js'

const CONNECT_MAX_MS = 1_200
const QUERY_MAX_MS = 1_200

/** Looks tokens up over a connection of its own, so that queries of resources don't hold it up. */
export function tokenDatabase(url: string): { readonly find: FindTokens; close(): Promise<void> } {
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
  return { find: (ids) => findTokens(pool, ids), close: () => pool.end() }
}
