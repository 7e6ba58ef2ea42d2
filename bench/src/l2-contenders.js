// What can be asked of each tier in Redis: `open(port, keys, values)` → { read(i), write(i), close() }. Reads find in Redis what `write` stored.
import KeyvRedis from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Cacheable } from 'cacheable'
import { redisL2 } from '../../packages/redis/dist/index.js'
import { Redis } from './redis.js'

const EPOCH = 'bench'
const TTL_MS = 3_600_000

export const tiers = {
  /** The floor: one command each, and JSON. */
  async ioredis(port, keys, values) {
    const redis = new Redis(port)
    return {
      read: async (i) => JSON.parse(await redis.get(keys[i])),
      write: (i) => redis.set(keys[i], JSON.stringify(values[i]), 'PX', TTL_MS),
      close: () => redis.disconnect(),
    }
  },

  async 'ioredis, enableAutoPipelining'(port, keys, values) {
    const redis = new Redis(port, { enableAutoPipelining: true })
    return {
      read: async (i) => JSON.parse(await redis.get(keys[i])),
      write: (i) => redis.set(keys[i], JSON.stringify(values[i]), 'PX', TTL_MS),
      close: () => redis.disconnect(),
    }
  },

  async bentocache(port, keys, values) {
    const connection = { host: '127.0.0.1', port }
    const store = bentostore()
      .useL1Layer(memoryDriver({ maxItems: 1_000_000 }))
      .useL2Layer(redisDriver({ connection }))
      .useBus(redisBusDriver({ connection }))
    const cache = new BentoCache({ default: 'both', stores: { both: store } })
    return {
      read: (i) => cache.get({ key: keys[i] }),
      write: (i) => cache.set({ key: keys[i], value: values[i], ttl: TTL_MS }),
      close: () => cache.disconnectAll(),
    }
  },

  async cacheable(port, keys, values) {
    const cache = new Cacheable({ secondary: new KeyvRedis(`redis://127.0.0.1:${port}`), ttl: TTL_MS })
    return {
      read: (i) => cache.get(keys[i]),
      write: (i) => cache.set(keys[i], values[i]),
      close: () => cache.disconnect(),
    }
  },

  /** Each entry has two dependencies: its key, and a row. */
  async 'tidemark redisL2'(port, keys, values) {
    const l2 = redisL2({ url: `redis://127.0.0.1:${port}`, deadline: '30s', batchDeadline: '30s' })
    while (l2.status().state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 5))
    await l2.invalidate({ epoch: EPOCH, prev: 0, end: 100, shapes: undefined, marks: [], mayReset: false })
    const shapes = ['["key","default"]', '["rows","public.posts",["id"],null,null,"members"]']
    return {
      read: async (i) => (await l2.read(keys[i])).entry?.value,
      write: (i) =>
        l2.fill(keys[i], {
          epoch: EPOCH,
          lsn: 100,
          value: values[i],
          dependencies: [{ kind: 'rows', table: 'public.posts', columns: ['id'], values: [String(i)], old: 'members' }],
          stamps: [
            { shape: shapes[0], name: keys[i] },
            { shape: shapes[1], name: `=${i}` },
          ],
          ageMs: 0,
          remainingMs: TTL_MS,
        }),
      close: () => l2.close(),
    }
  },
}
