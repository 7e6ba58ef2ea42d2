import { testDatabase } from '@tidemark/embedded/testing'
import type { FastifyInstance } from 'fastify'
import { parseConfig, serve } from '../src/index.js'
import { startIssuer } from './issuer.js'
import { CLIENT, startProvider } from './provider.js'
import { CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'
import { until } from './until.js'

/** A server of all that there is: resources, config trees, a journal, tokens, JWT and sign-in, on a real PostgreSQL. */
export async function fullServer(more = '') {
  const database = await testDatabase({ settings: {} })
  const issuer = await startIssuer()
  const provider = await startProvider(() => ['admin'])
  const folder = temporaryFolder()
  const oidc = `oidc: { issuer: "${provider.issuer}", clientId: ${CLIENT.id}, clientSecret: "${CLIENT.secret}", rolesClaim: groups }`
  const access = issuer.config.replace('access: {', `access: { tokens: true, ${oidc},`)
  await sql(database.url, SCHEMA)
  const config = parseConfig(
    `source: { url: "${database.url}", slot: tidemark_full }\ntrees: { enabled: true }\n${access}${more}${CONFIG}`,
    'tidemark.yaml',
    {},
  )
  let app: FastifyInstance | undefined
  const routes: string[] = []
  const running = await serve({
    config,
    port: 0,
    env: {},
    dataDir: folder.path,
    signals: false,
    logLevel: 'silent',
    routes(own) {
      app = own
      own.addHook('onRoute', ({ method, url }) => {
        // Several at once: those that the path does not have.
        if (typeof method === 'string' && method !== 'HEAD') routes.push(`${method} ${url}`)
      })
      // Which route it was: a path that a client made up may be another one's.
      own.addHook('onRequest', async (request, reply) => {
        reply.header('x-route', request.is404 ? 'none' : request.routeOptions.url)
      })
    },
  })
  await provider.start(`${running.url}/auth/callback`)
  await until(() => running.cache.status().keeping)
  return {
    app: app!,
    /** Each with its method. */
    routes,
    cache: running.cache,
    url: running.url,
    issuer,
    bearer: async (role: string, tenants: readonly string[]): Promise<Record<string, string>> => ({
      authorization: `Bearer ${await issuer.sign({ roles: [role], tenants: [...tenants] })}`,
    }),
    async close() {
      await running.close()
      await database.drop()
      issuer.close()
      await provider.close()
      folder.remove()
    },
  }
}
