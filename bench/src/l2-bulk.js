// Many entries at once through L1 and an L2 in Redis: `node l2-bulk.js port entries`. Prints fills/s from a batch loader, asked for by `getMany` and
// one by one, and what each takes of this process's and of Redis's processor; ms until a tag that all of them have is dropped in both tiers, and what
// it costs to read them back; beside the bare client's pipelined SETs.
import { redisL2, redisLog } from '../../packages/redis/dist/index.js'
import { createCache } from '../../packages/tidemark/dist/index.js'
import { Redis } from './redis.js'
import { keysOf, valuesOf } from './workload.js'

const IN_FLIGHT = 500
/** Keys of one call of `getMany`; as many calls at once as make `IN_FLIGHT`. */
const CALL = 250
const ROUNDS = 3
const TTL_MS = 3_600_000

const [port, count] = process.argv.slice(2).map(Number)
const keys = keysOf(count)
const values = valuesOf(count)
const url = `redis://127.0.0.1:${port}`

const control = new Redis(port)
const bare = await measureBare()
const l2 = redisL2({ url, deadline: '30s', batchDeadline: '30s' })
const cache = createCache({ log: redisLog({ url }), l2, l1: { maxEntries: 2 * count }, maxSilence: '30s' })
while (!isReady() || (await tideOf()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5))

// The first round is for the compiler, too.
const [many, single] = [[], []]
for (let round = 0; round <= ROUNDS; round++) {
  many.push(await fill('many', oneCallForMany))
  await drop('many')
  single.push(await fill('single', oneByOne))
  await drop('single')
}
await fill('all', oneByOne)
const dropMs = await drop('all')
const again = await fill('all', oneByOne)
await cache.close()
control.disconnect()
console.log(
  JSON.stringify({ many: bestOf(many), single: bestOf(single), bare, dropMs, againUs: 1e6 / again.perSecond }),
)
process.exit()

function bestOf(rounds) {
  return rounds.slice(1).sort((a, b) => b.perSecond - a.perSecond)[0]
}

/** What is answered before is kept nowhere. */
function isReady() {
  const { keeping, current } = cache.status()
  return keeping && current
}

async function tideOf() {
  return (await l2.read('none')).tide?.m
}

/** Fills all. Per second until the last is in L2, and µs of the processor for each, of this process and of Redis. */
async function fill(tag, ask) {
  const stored = cache.counters.l2Stored + count
  const redisUs = await redisCpuUs()
  const cpu = process.cpuUsage()
  const began = performance.now()
  await ask({ ttl: TTL_MS, tags: [tag] })
  while (cache.counters.l2Stored < stored) {
    if (performance.now() - began > 60_000) throw new Error(`${stored - cache.counters.l2Stored} are not in L2.`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const perSecond = (count / (performance.now() - began)) * 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond, ownUs: (user + system) / count, redisUs: ((await redisCpuUs()) - redisUs) / count }
}

/** Each key is asked for by itself; a loader that batches answers those of one turn together. */
async function oneByOne(options) {
  const load = batchLoader()
  await inFlight(IN_FLIGHT, count, (i) => cache.get(keys[i], () => load(i), options))
}

async function oneCallForMany(options) {
  const at = new Map(keys.map((key, i) => [key, i]))
  const loadMany = (_, asked) =>
    new Promise((resolve) => setImmediate(() => resolve(asked.map((key) => values[at.get(key)]))))
  await inFlight(IN_FLIGHT / CALL, Math.ceil(count / CALL), (call) =>
    cache.getMany(keys.slice(call * CALL, (call + 1) * CALL), loadMany, options),
  )
}

async function redisCpuUs() {
  const text = await control.info('cpu')
  const seconds = ['used_cpu_user', 'used_cpu_sys'].map((name) => Number(new RegExp(`${name}:(.*)`).exec(text)[1]))
  return (seconds[0] + seconds[1]) * 1e6
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
  await inFlight(IN_FLIGHT, count, (i) => redis.set(`bare:${keys[i]}`, JSON.stringify(values[i]), 'PX', TTL_MS))
  const perSecond = (count / (performance.now() - began)) * 1_000
  redis.disconnect()
  return perSecond
}

async function inFlight(width, calls, work) {
  let next = 0
  const worker = async () => {
    while (next < calls) await work(next++)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
