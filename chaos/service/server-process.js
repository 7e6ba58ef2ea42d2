// The service in a process of its own: `{ url, issuer, entries }`. It is told by messages what no client could do: fill its memory.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseConfig, serve } from '@tidemark/server'
import { answerWith } from './acts.js'

const { url, jwks, entries, limits } = JSON.parse(process.argv[2])
const config = parseConfig(
  `source: { url: ${JSON.stringify(url)}, publication: chaos_service }
cache: { maxEntries: ${entries}, maxBytes: 2000000000 }
access: { jwt: { issuer: "https://issuer.test/", audience: tidemark, jwks: ${JSON.stringify(jwks)}, algorithms: [ES256] } }
limits: ${JSON.stringify(limits)}
trees: { enabled: true }
`,
  'chaos.yaml',
  {},
)
const server = await serve({ config, port: 0, env: {}, signals: false, logLevel: 'silent' })
const { cache } = server
while (!cache.status().keeping) await new Promise((resolve) => setTimeout(resolve, 10))
const delay = monitorEventLoopDelay({ resolution: 1 })

const acts = {
  where: () => ({ url: server.url }),
  /** Fills `count` keys of a tenant; what a busy machine does not keep, it is asked for again. */
  async fill({ tenant, count, prefix }) {
    const view = cache.tenant(tenant)
    const load = () => 1
    for (let i = 0; i < count; i++) {
      await view.get(`${prefix}:${i}`, load, STATIC)
      if (i % 1_000 === 999) await new Promise(setImmediate)
    }
    return { entries: cache.status().entries }
  },
  /** How many of a tenant's keys are there. */
  stored: ({ tenant, count, prefix }) => {
    const view = cache.tenant(tenant)
    let stored = 0
    for (let i = 0; i < count; i++) if (view.look(`${prefix}:${i}`)) stored++
    return { stored }
  },
  /** What a tenant has in memory. */
  uses: ({ tenant }) => cache.uses().find((use) => use.tenant === tenant) ?? { entries: 0, bytes: 0 },
  watchLoop: () => {
    delay.enable()
    delay.reset()
    return {}
  },
  loop: () => ({ stalledMs: delay.max / 1e6 }),
  async swept() {
    while (cache.status().sweeping > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    return { entries: cache.status().entries }
  },
  stop: async () => {
    await server.close()
    return {}
  },
}
const STATIC = Object.freeze({ static: true })

answerWith(acts)
