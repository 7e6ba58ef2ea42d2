// Many entries at once through L1 and an L2 in Redis: `node l2-bulk.js port entries`. Prints fills/s from a batch loader, ms until a tag that all
// of them have is dropped in both tiers, and what it costs to read them back, beside the bare client's pipelined SETs.
import { redisL2, redisLog } from '../../packages/redis/dist/index.js'
import { createCache } from '../../packages/tidemark/dist/index.js'
import { Redis } from './redis.js'
import { keysOf, valuesOf } from './workload.js'

const IN_FLIGHT = 500
const TTL_MS = 3_600_000

const [port, count] = process.argv.slice(2).map(Number)
const keys = keysOf(count)
const values = valuesOf(count)
const url = `redis://127.0.0.1:${port}`

const bare = await measureBare()
const l2 = redisL2({ url, deadline: '30s', batchDeadline: '30s' })
const cache = createCache({ log: redisLog({ url }), l2, l1: { maxEntries: 2 * count }, maxSilence: '30s' })
while (!isReady() || (await tideOf()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5))

// The first round is for the compiler, too.
await fill('warm')
await drop('warm')
const fills = await fill('all')
const dropMs = await drop('all')
const again = await fill('all')
await cache.close()
console.log(JSON.stringify({ fills, bare, dropMs, missUs: 1e6 / fills, againUs: 1e6 / again }))
process.exit()

/** What is answered before is kept nowhere. */
function isReady() {
  const { keeping, current } = cache.status()
  return keeping && current
}

async function tideOf() {
  return (await l2.read('none')).tide?.m
}

/** Each key is asked for by itself; a loader that batches answers those of one turn together. Per second, until the last is in L2. */
async function fill(tag) {
  const stored = cache.counters.l2Stored + count
  const began = performance.now()
  const load = batchLoader()
  await inFlight((i) => cache.get(keys[i], () => load(i), { ttl: TTL_MS, tags: [tag] }))
  while (cache.counters.l2Stored < stored) {
    if (performance.now() - began > 60_000) throw new Error(`${stored - cache.counters.l2Stored} are not in L2.`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return (count / (performance.now() - began)) * 1_000
}

async function drop(tag) {
  const began = performance.now()
  const end = Number.parseInt((await cache.invalidate({ tags: [tag] })).split('/').at(-1), 16)
  while ((await tideOf()) < end) {}
  return performance.now() - began
}

/** As a DataLoader does it. */
function batchLoader() {
  let waiting = []
  return (i) =>
    new Promise((resolve) => {
      waiting.push({ i, resolve })
      if (waiting.length > 1) return
      setImmediate(() => {
        const batch = waiting
        waiting = []
        for (const each of batch) each.resolve(values[each.i])
      })
    })
}

async function measureBare() {
  const redis = new Redis(port, { enableAutoPipelining: true })
  const began = performance.now()
  await inFlight((i) => redis.set(`bare:${keys[i]}`, JSON.stringify(values[i]), 'PX', TTL_MS))
  const perSecond = (count / (performance.now() - began)) * 1_000
  redis.disconnect()
  return perSecond
}

async function inFlight(work) {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}
