// Config trees: `node trees.js <url> <tenants> <nodes> <edits>`, so many nodes for each tenant, written by SQL before anybody follows. Prints
// {"fillSeconds", "peekNs", "getNs", "editMs": median, "affected": {"p50", "p99", "p99FromCall"}, "coldMs": median} of this many edits.
import { postgres } from '@tidemark/postgres'
import { openTrees } from '@tidemark/trees'
import pg from 'pg'
import { createCache } from 'tidemark'
import { median, quantile } from './measure.js'

// Queries are checked as often as in production.
process.env.NODE_ENV ??= 'production'
const [url, ...counts] = process.argv.slice(2)
const [tenants, nodes, edits] = counts.map(Number)
const DEPENDENTS = 100
const COLD_NODES = 10_000
/** Until V8 has compiled what an edit runs: as in a server that has been up for a while. */
const WARM_UP = 100
const HIT_NODES = 100
const PASSES = 7

const client = new pg.Client({ connectionString: url })
await client.connect()
const source = postgres({ url, publication: `bench_trees_${tenants}` })
const cache = createCache({ source })
const trees = await openTrees({ cache, source })

/** Rows as any program may write them: groups of a hundred leaves. */
async function fill(config, tenantCount, count) {
  await client.query(
    `insert into tidemark_trees.configs (tenant, config, path, position, value)
     select 't' || t, $1, case when n = 0 then '' when n % 100 = 1 then '/g' || n / 100 else '/g' || (n - 1) / 100 || '/k' || n end, n,
       case when n = 0 or n % 100 = 1 then '{}'::jsonb else to_jsonb(n) end
     from generate_series(1, $2::int) t, generate_series(0, $3::int - 1) n`,
    [config, tenantCount, count],
  )
}

async function until(isDone) {
  const end = performance.now() + 300_000
  while (!(await isDone())) {
    if (performance.now() > end) throw new Error('Waited for 300 s.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function spread(count, total) {
  return Array.from({ length: count }, (_, i) => Math.floor((i * total) / count))
}

const began = performance.now()
await fill('app', tenants, nodes)
await fill('large', 1, COLD_NODES)
await client.query('analyze tidemark_trees.configs')
const fillSeconds = (performance.now() - began) / 1_000
await until(() => cache.status().current && cache.status().keeping)
await cache.settled()

// Hits.
const leaf = (i) => trees.tree(`t${1 + (i % tenants)}`, 'app').node(`/g0/k${2 + (i % Math.min(97, nodes - 2))}`)
const hit = spread(HIT_NODES, tenants).map(leaf)
await until(async () => {
  for (const node of hit) await node.get()
  return hit.every((node) => node.peek() !== undefined)
})
const ROUNDS = Math.max(1, edits)
async function nsOf(pass) {
  const figures = []
  for (let i = 0; i < PASSES; i++) {
    const begin = process.cpuUsage()
    await pass()
    const { user, system } = process.cpuUsage(begin)
    figures.push(((user + system) * 1_000) / (ROUNDS * HIT_NODES))
  }
  return median(figures)
}
let sum = 0
const peekNs = await nsOf(() => {
  for (let round = 0; round < ROUNDS; round++) for (const node of hit) sum += node.peek()
})
const getNs = await nsOf(async () => {
  for (let round = 0; round < ROUNDS; round++) for (const node of hit) sum += await node.get()
})
if (!(sum > 0)) throw new Error('The nodes hold nothing.')

// Edits of one node, each of another tenant.
const editMs = []
for (let i = 0; i < edits + WARM_UP; i++) {
  const tree = trees.tree(`t${1 + ((i * 7_919) % tenants)}`, 'app')
  const begin = performance.now()
  await tree.put('/g0/k5', { value: `edit ${i}` })
  if (i >= WARM_UP) editMs.push(performance.now() - begin)
}

// One edit, and a hundred views that refer to what it changes, all of them watched.
const shared = trees.tree('t1', 'app')
const refs = Object.fromEntries(Array.from({ length: DEPENDENTS }, (_, i) => [`r${i}`, { $ref: '#/g0/k5' }]))
await shared.put('/refs', { value: refs })
let seen = () => {}
const ended = new AbortController()
const watching = Array.from({ length: DEPENDENTS }, async (_, i) => {
  try {
    for await (const value of shared.node(`/refs/r${i}`).watch({ signal: ended.signal })) seen(i, value)
  } catch (error) {
    if (!ended.signal.aborted) throw error
  }
})
const affected = []
const fromCall = []
for (let i = 0; i < edits + WARM_UP; i++) {
  const left = new Set(Array.from({ length: DEPENDENTS }, (_, n) => n))
  const value = `affected ${i}`
  const all = new Promise((resolve) => {
    seen = (n, now) => {
      if (now === value && left.delete(n) && left.size === 0) resolve(performance.now())
    }
  })
  const begin = performance.now()
  await shared.put('/g0/k5', { value })
  // From the commit on: what the database takes to commit is in the edit's own figure.
  const committed = performance.now()
  const done = await all
  if (i < WARM_UP) continue
  affected.push(Math.max(0, done - committed))
  fromCall.push(done - begin)
}
ended.abort()
await Promise.all(watching)

// A large tree that is not kept.
const large = trees.tree('t1', 'large').node()
const coldMs = []
for (let i = 0; i < PASSES; i++) {
  await cache.tenant('t1').evict({ pattern: 'large:*' })
  const begin = performance.now()
  const { from, value } = await large.ask()
  coldMs.push(performance.now() - begin)
  if (from !== 'source' || value === null) throw new Error(`It came from ${from}.`)
}

await client.end()
await cache.close()
console.log(
  JSON.stringify({
    fillSeconds,
    peekNs,
    getNs,
    editMs: median(editMs),
    affected: {
      p50: quantile(affected, 0.5),
      p99: quantile(affected, 0.99),
      p99FromCall: quantile(fromCall, 0.99),
    },
    coldMs: median(coldMs),
  }),
)
