// Invalidating one in a hundred of many keys in Redis, by tag and by prefix: `node l2-invalidate.js name port keys`. Prints ms until it holds, and
// the longest that another client of Redis had to wait meanwhile.
import { BentoCache, bentostore } from 'bentocache'
import { redisDriver } from 'bentocache/drivers/redis'
import { redisL2 } from '../../packages/redis/dist/index.js'
import { Redis } from './redis.js'

const EPOCH = 'bench'
const GROUPS = 100
const IN_FLIGHT = 500
const TTL_MS = 3_600_000

const [name, port, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
const keyOf = (i) => `g${String(i % GROUPS).padStart(2, '0')}:${i}`
const tagOf = (i) => `t${i % GROUPS}`

const contenders = {
  async tidemark() {
    const l2 = redisL2({ url: `redis://127.0.0.1:${port}`, deadline: '30s', batchDeadline: '30s' })
    while (l2.status().state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 5))
    await l2.invalidate({ epoch: EPOCH, prev: 0, end: 100, shapes: undefined, marks: [], mayReset: false })
    const named = { key: '["key","default"]', tag: '["tag","default"]' }
    await inFlight((i) =>
      l2.fill(keyOf(i), {
        epoch: EPOCH,
        lsn: 100,
        value: { id: i },
        dependencies: [{ kind: 'tag', tenant: 'default', tag: tagOf(i) }],
        stamps: [
          { shape: named.key, name: keyOf(i) },
          { shape: named.tag, name: tagOf(i) },
        ],
        ageMs: 0,
        remainingMs: TTL_MS,
      }),
    )
    let m = 100
    // As a process that knows the shapes.
    const { shapesId } = await l2.invalidate(batch([], undefined))
    const tell = async (mark) => {
      const answer = await l2.invalidate(batch([mark], shapesId))
      if (answer.state !== 'applied') throw new Error(`The batch was not applied: ${answer.state}.`)
      m++
    }
    function batch(marks, shapes) {
      return { epoch: EPOCH, prev: m, end: m + 1, shapes, marks, mayReset: false }
    }
    return {
      tag: () => tell({ lsn: m + 1, shape: named.tag, name: 't7' }),
      prefix: () =>
        tell({ lsn: m + 1, shape: named.key, name: undefined, pattern: JSON.stringify(['default', 'glob', 'g08:*']) }),
      async check() {
        if ((await l2.read(keyOf(7))).entry) throw new Error('The tag was not dropped.')
        if (!(await l2.read(keyOf(8))).patterns) throw new Error('The pattern is not told.')
      },
      close: () => l2.close(),
    }
  },

  async 'SCAN and UNLINK'() {
    const redis = new Redis(port, { enableAutoPipelining: true })
    await inFlight((i) => redis.set(keyOf(i), JSON.stringify({ id: i }), 'PX', TTL_MS))
    const members = Array.from({ length: Math.ceil(count / GROUPS) }, (_, j) => keyOf(7 + j * GROUPS))
    for (let at = 0; at < members.length; at += 1_000) await redis.sadd('tag:t7', ...members.slice(at, at + 1_000))
    return {
      /** A set for each tag, which has to be kept up at each write. */
      async tag() {
        const keys = await redis.smembers('tag:t7')
        for (let at = 0; at < keys.length; at += 1_000) await redis.unlink(...keys.slice(at, at + 1_000))
        await redis.unlink('tag:t7')
      },
      async prefix() {
        let cursor = '0'
        do {
          const [next, keys] = await redis.scan(cursor, 'MATCH', 'g08:*', 'COUNT', 1_000)
          if (keys.length > 0) await redis.unlink(...keys)
          cursor = next
        } while (cursor !== '0')
      },
      async check() {
        if ((await redis.get(keyOf(7))) ?? (await redis.get(keyOf(8)))) throw new Error('Something is left.')
      },
      close: () => redis.disconnect(),
    }
  },

  /** It has no patterns. */
  async bentocache() {
    const store = bentostore().useL2Layer(redisDriver({ connection: { host: '127.0.0.1', port } }))
    const cache = new BentoCache({ default: 'only', stores: { only: store } })
    // Its tags need no entries to be marked.
    for (let i = 0; i < GROUPS; i++) await cache.set({ key: keyOf(i), value: { id: i }, tags: [tagOf(i)], ttl: TTL_MS })
    return {
      tag: () => cache.deleteByTag({ tags: ['t7'] }),
      prefix: undefined,
      async check() {
        if (await cache.get({ key: keyOf(7) })) throw new Error('The tag was not dropped.')
      },
      close: () => cache.disconnectAll(),
    }
  },
}

const contender = await contenders[name]()
const tag = await measured(contender.tag)
const prefix = contender.prefix && (await measured(contender.prefix))
await contender.check()
await contender.close()
console.log(JSON.stringify({ tag, ...(prefix && { prefix }) }))
process.exit()

async function measured(work) {
  const other = new Redis(port)
  await other.ping()
  let isOver = false
  let waitMs = 0
  const waiting = (async () => {
    do {
      const began = performance.now()
      await other.ping()
      waitMs = Math.max(waitMs, performance.now() - began)
    } while (!isOver)
  })()
  const began = performance.now()
  await work()
  const ms = performance.now() - began
  isOver = true
  await waiting
  other.disconnect()
  return { ms, waitMs }
}

async function inFlight(work) {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}
