// Two layouts of L2 in Redis: stamps that are compared at each read, and registries of the keys of each dependency. `node l2-layouts.js`, after a
// build; needs redis-server. The figures of docs/decisions/l2-layout.md.
import { createHash, randomBytes } from 'node:crypto'
import { fillScript } from '../../packages/redis/dist/l2/scripts/fill.js'
import { invalidateScript } from '../../packages/redis/dist/l2/scripts/invalidate.js'
import { readScript } from '../../packages/redis/dist/l2/scripts/read.js'
import { Script } from '../../packages/redis/dist/l2/scripts/script.js'
import { withRedis } from './redis.js'

const ENTRIES = 50_000
const BATCH = 20
const IN_FLIGHT = 50
const [STATE, STAMPS] = ['{t}s', '{t}z']
const BODY = Buffer.alloc(200, 'x')
const id = (text, bytes) => createHash('sha256').update(text).digest().subarray(0, bytes)
const SHAPE = id('shape', 16)
const dependency = (name) => Buffer.concat([SHAPE, id(name, 8)])
const COMMON = dependency('common')
const generation = randomBytes(8)
const keyOf = (i) => `{t}e:tenant:posts(${i})`

const fillRegistry = (add) =>
  new Script(`local st = redis.call('HMGET', KEYS[1], 'g', 'm')
for k = 3, #KEYS do
  local a = (k - 3) * 3
  for j = 1, #ARGV[a + 3], 24 do
    local dependency = string.sub(ARGV[a + 3], j, j + 23)
    ${add}
  end
  redis.call('SET', KEYS[k], st[1] .. ARGV[a + 2], 'PX', ARGV[a + 1])
end`)
const readEntries = new Script(`local st = redis.call('HMGET', KEYS[1], 'g', 'm', 'e', 'i', 'b')
redis.call('ZSCORE', KEYS[2], '~')
local out = {}
for k = 3, #KEYS do
  local v = redis.call('GET', KEYS[k])
  redis.call('HMGET', KEYS[1], 'g')
  if v and string.sub(v, 1, 8) == st[1] then out[#out + 1] = {v, redis.call('PTTL', KEYS[k])} end
end
return out`)

const fillEntries = (script) => (redis, keys, dependencies) =>
  script.run(
    redis,
    [STATE, STAMPS, ...keys],
    dependencies.flatMap((each) => [3_600_000, BODY, Buffer.concat(each)]),
  )
const registry = {
  async begin(redis) {
    await redis.hset(STATE, 'g', generation, 'm', '1')
    await redis.zadd(STAMPS, 0, '~')
  },
  async read(redis, keys) {
    return (await readEntries.run(redis, [STATE, STAMPS, ...keys], [])).length
  },
}

const layouts = {
  stamps: {
    async begin(redis) {
      await invalidate(redis, 0, 1, [])
      await layouts.stamps.fill(redis, [keyOf('first')], [[COMMON]])
      // As many rows were changed lately.
      await invalidate(redis, 1, 2, Array.from({ length: 20_000 }, (_, i) => [2, dependency(`other ${i}`)]).flat())
    },
    async fill(redis, keys, dependencies) {
      const entries = dependencies.flatMap((each) => {
        const counts = Buffer.from([0, 0, 0, 0, 0, 1, each.length >> 8, each.length & 255])
        return ['e', 5, 3_600_000, Buffer.concat([counts, SHAPE, ...each, BODY]), '["shape"]']
      })
      await fillScript.run(redis, [STATE, STAMPS, ...keys], [1, randomBytes(8), 1_000, ...entries])
    },
    async read(redis, keys) {
      const [, , , , , ...found] = await readScript.run(redis, [STATE, STAMPS, ...keys], [1])
      return found.filter(Buffer.isBuffer).length
    },
    drop: (redis) => invalidate(redis, 2, 6, [6, COMMON]),
  },
  'sorted set': {
    ...registry,
    fill: fillEntries(fillRegistry(`redis.call('ZADD', KEYS[2], 0, dependency .. KEYS[k])`)),
    drop: (redis) =>
      new Script(`while true do
  local found = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. ARGV[1], '[' .. ARGV[1] .. string.char(255), 'LIMIT', 0, 1000)
  if #found == 0 then return end
  redis.call('ZREM', KEYS[2], unpack(found))
  for j = 1, #found do found[j] = string.sub(found[j], 25) end
  redis.call('UNLINK', unpack(found))
end`).run(redis, [STATE, STAMPS], [COMMON]),
  },
  sets: {
    ...registry,
    fill: fillEntries(fillRegistry(`redis.call('SADD', '{t}r' .. dependency, KEYS[k])`)),
    drop: (redis) =>
      new Script(`while true do
  local found = redis.call('SPOP', '{t}r' .. ARGV[1], 1000)
  if #found == 0 then return end
  redis.call('UNLINK', unpack(found))
end`).run(redis, [STATE], [COMMON]),
  },
}

await withRedis(async (redis) => {
  for (const count of [1, 5, 20]) {
    for (const [name, layout] of Object.entries(layouts)) {
      await redis.flushall()
      const before = await figure(redis, 'memory', 'used_memory')
      const dependenciesOf = (i) =>
        Array.from({ length: count }, (_, j) => (j === 0 ? COMMON : dependency(`row ${(i * 7 + j * 13) % 20_000}`)))
      await layout.begin(redis)
      const begun = await figure(redis, 'memory', 'used_memory')
      const fill = await cpuOf(redis, (items) =>
        layout.fill(
          redis,
          items.map((i) => keyOf(i)),
          items.map((i) => dependenciesOf(i)),
        ),
      )
      const bytes = (await figure(redis, 'memory', 'used_memory')) - (name === 'stamps' ? begun : before)
      let hits = 0
      const read = await cpuOf(redis, async (items) => {
        const found = await layout.read(redis, items.map(keyOf))
        hits += found
      })
      if (hits !== ENTRIES) throw new Error(`${name}: ${hits} of ${ENTRIES} were read back.`)
      const began = await cpuSeconds(redis)
      await layout.drop(redis)
      const drop = ((await cpuSeconds(redis)) - began) * 1_000
      const round = (number, digits) => Number(number.toFixed(digits))
      const figures = {
        fillUs: round(fill, 1),
        readUs: round(read, 1),
        bytes: round(bytes / ENTRIES, 0),
        dropMs: round(drop, 2),
      }
      console.log(JSON.stringify({ layout: name, dependencies: count, ...figures }))
    }
  }
})

async function invalidate(redis, prev, end, pairs) {
  const shapes = (await redis.hgetBuffer(STATE, 'i')) ?? ''
  const args = [1, 'e', prev, end, 1, 0, shapes, generation, randomBytes(8), 1_000_000, 0, 0, end, 0, ...pairs]
  const [outcome] = await invalidateScript.run(redis, [STATE, STAMPS], args)
  if (outcome !== 1) throw new Error(`A batch was not applied: ${outcome}`)
}

/** What it takes of Redis's processor for each entry, in µs. */
async function cpuOf(redis, work) {
  const before = await cpuSeconds(redis)
  let next = 0
  const worker = async () => {
    while (next < ENTRIES) {
      const from = next
      next += BATCH
      await work(Array.from({ length: BATCH }, (_, i) => from + i))
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  return (((await cpuSeconds(redis)) - before) / ENTRIES) * 1e6
}

async function cpuSeconds(redis) {
  return (await figure(redis, 'cpu', 'used_cpu_user')) + (await figure(redis, 'cpu', 'used_cpu_sys'))
}

async function figure(redis, section, name) {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(await redis.info(section))[1])
}
