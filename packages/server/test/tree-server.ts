import { testDatabase } from '@tidemark/embedded/testing'
import { postgres } from '@tidemark/postgres'
import { openTrees } from '@tidemark/trees'
import type { FastifyInstance } from 'fastify'
import { createCache } from 'tidemark'
import { buildApp } from '../src/app.js'
import { parseConfig } from '../src/config/load.js'
import { until } from './until.js'

export const JSON_PATCH = { 'content-type': 'application/json-patch+json' }
export const MERGE_PATCH = { 'content-type': 'application/merge-patch+json' }
export const JSON_TYPE = { 'content-type': 'application/json' }

export type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE'

/** Config trees behind HTTP, on a real PostgreSQL. */
export async function treeServer() {
  const database = await testDatabase({})
  const source = postgres({ url: database.url })
  const cache = createCache({ source })
  const trees = await openTrees({ cache, source })
  const parts = { cache, source, trees, logLevel: 'silent' as const }
  const apps: FastifyInstance[] = []
  /** Another server on the same trees, as a configuration has it. */
  const serve = async (config = '', options: Partial<Parameters<typeof buildApp>[0]> = {}) => {
    const app = await buildApp({ config: parseConfig(config), ...parts, ...options })
    apps.push(app)
    return app
  }
  const app = await serve()
  // New tables: nothing is kept until it is sure that the log has them.
  const probe = trees.tree('probe', 'probe')
  await until(async () => (await probe.node().ask()).from === 'l1')
  return {
    database,
    trees,
    cache,
    app,
    serve,
    ask: asking(app),
    async close() {
      for (const each of apps) await each.close()
      await cache.close()
      await database.drop()
    },
  }
}

export function asking(app: FastifyInstance) {
  return async (method: Method, url: string, payload?: unknown, headers: Record<string, string> = {}) => {
    const response = await app.inject({
      method,
      url,
      headers,
      ...(payload === undefined ? {} : { payload: payload as string | object }),
    })
    const isJson = String(response.headers['content-type'] ?? '').includes('json')
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.body,
      body: isJson && response.body !== '' ? response.json() : undefined,
    }
  }
}
