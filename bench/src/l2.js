// Tiers in Redis, beside each other: `node l2.js` after a build; needs redis-server. Each contender runs in a process of its own, in turn, on one
// Redis. Prints operations a second with 64 in flight, µs of processor time for each, and the median of one after the other.
import { fileURLToPath } from 'node:url'
import { tiers } from './l2-contenders.js'
import { median, runAlone } from './measure.js'
import { withRedis } from './redis.js'
import { keysOf, valuesOf } from './workload.js'

const ENTRIES = Number(process.argv[5] ?? 60_000)
/** Of them, for the compiler. */
const FIRST = ENTRIES / 3
const ALONE = Math.min(1_000, ENTRIES / 6)
const IN_FLIGHT = 64
const ROUNDS = Number(process.env.ROUNDS ?? 3)

const [name, port, what] = process.argv.slice(2)
if (name === undefined) await compare()
else console.log(JSON.stringify(await measure(name, Number(port), what)))
process.exit()

async function compare() {
  const rows = { write: {}, read: {} }
  await withRedis(async (redis, port) => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of Object.keys(tiers)) {
        await redis.flushall()
        for (const what of ['write', 'read']) {
          rows[what][name] ??= []
          rows[what][name].push(await runAlone(fileURLToPath(import.meta.url), [name, port, what]))
        }
      }
    }
  })
  for (const [what, figures] of Object.entries(rows)) {
    console.log(`\n${what === 'read' ? 'a hit' : 'set'}`)
    const of = (name, figure) => median(figures[name].map((each) => each[figure]))
    const floor = of('ioredis', 'perSecond')
    const bento = of('bentocache', 'perSecond')
    for (const name of Object.keys(figures)) {
      const perSecond = of(name, 'perSecond')
      console.log(
        `${name.padEnd(32)} ${perSecond.toFixed(0).padStart(8)}/s  ${of(name, 'cpuUs').toFixed(1).padStart(6)} µs of cpu  ` +
          `${of(name, 'aloneUs').toFixed(0).padStart(5)} µs alone  × ioredis ${(perSecond / floor).toFixed(2)}  × bentocache ${(perSecond / bento).toFixed(2)}`,
      )
    }
  }
}

/** A process that begins: what it reads is not in its memory. */
async function measure(name, port, what) {
  const values = valuesOf(ENTRIES + ALONE)
  const tier = await tiers[name](port, keysOf(ENTRIES + ALONE), values)
  const one = async (i) => {
    const answer = await tier[what](i)
    if (what === 'read' && answer?.id !== i) throw new Error(`${name} does not answer with what was stored.`)
  }
  for (let i = ENTRIES; i < ENTRIES + 100; i++) await one(i)
  const times = []
  for (let i = ENTRIES; i < ENTRIES + ALONE; i++) {
    const began = performance.now()
    await one(i)
    times.push((performance.now() - began) * 1_000)
  }
  // What was asked for alone is in the memory of those that have one; the others are not.
  let next = 0
  const upTo = (end) => {
    const worker = async () => {
      while (next < end) await one(next++)
    }
    return Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  }
  await upTo(FIRST)
  const began = performance.now()
  const cpu = process.cpuUsage()
  await upTo(ENTRIES)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - began) / 1_000
  await tier.close()
  const count = ENTRIES - FIRST
  return { perSecond: count / seconds, cpuUs: (user + system) / count, aloneUs: median(times.slice(ALONE / 10)) }
}
