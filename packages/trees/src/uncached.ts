import type { Sql } from '@tidemark/postgres'
import type { PoolClient } from 'pg'
import type { Cache } from 'tidemark'
import { TreeCycleError, TreeLimitError } from './errors.js'
import type { TreeLimits } from './limits.js'
import { type TreesContext, Views } from './view.js'

/**
 * Views as a transaction sees them, that has not committed: each is computed once, and not kept.
 *
 * @throws (when read) TreeCycleError (`TIDEMARK_TREE_CYCLE`), TreeLimitError (`TIDEMARK_TREE_LIMIT`) for references that lead on and on
 */
export function uncachedViews(client: PoolClient, limits: TreeLimits): Views {
  const { referencesMax } = limits
  const sql = {
    async texts(text: string, values: readonly unknown[] = []) {
      const { rows } = await client.query<(string | null)[]>({
        text,
        values: [...values],
        rowMode: 'array',
        types: TEXTS,
      })
      return { rows, columns: [] }
    },
  } as unknown as Sql
  const known = new Map<string, Promise<unknown>>()
  const running: string[] = []
  const cacheOf = (tenant: string) => ({
    async get(key: string, load: (context: TreesContext) => Promise<unknown>): Promise<unknown> {
      const name = `${tenant}:${key}`
      // One after the other: a connection runs one statement at a time, so what runs is a stack.
      if (running.includes(name))
        throw new TreeCycleError(`References or bases would lead from ${nodeOf(key)} back to it.`)
      const before = known.get(name)
      if (before) return before
      if (running.length > referencesMax * 4)
        throw new TreeLimitError(
          `References lead on, one behind another, more than ${referencesMax} times (referencesMax).`,
        )
      running.push(name)
      try {
        const value = await load({ sql })
        known.set(name, Promise.resolve(value))
        return value
      } finally {
        running.pop()
      }
    },
  })
  return new Views(cacheOf as unknown as (tenant: string) => Cache<TreesContext>, limits, 1)
}

/** Which node is meant by the key of whatever is read of it: `app:/a`, `app:names:/a`, `app:base`. */
function nodeOf(key: string): string {
  const [config] = key.split(':', 1)
  const from = key.indexOf('/')
  return from < 0 ? `the root of config "${config}"` : `node "${key.slice(from)}" of config "${config}"`
}

/** PostgreSQL's own text for every type. */
const TEXTS = { getTypeParser: () => (text: string) => text }
