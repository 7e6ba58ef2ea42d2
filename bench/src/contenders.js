import { BenchSource, rowsOf } from './source.js'
import { fill } from './workload.js'

// Each opens a cache, stores every value, and returns a function that reads the entry of an index. Each measurement runs
// in a process of its own, which imports nothing but its contender.

const HOUR_MS = 3_600_000

async function tidemark(entries, options = {}) {
  const { createCache } = await import('tidemark')
  const source = new BenchSource()
  const cache = createCache({ source, l1: { maxEntries: entries, maxBytes: Number.POSITIVE_INFINITY }, ...options })
  await cache.settled()
  return { cache, source }
}

/** `post`, whose entries have this many rows dependencies. */
async function definition(values, dependencies) {
  const { cache } = await tidemark(values.length)
  const load = ({ depend }, id) => {
    for (let i = 0; i < dependencies; i++) depend(rowsOf(`public.table_${i}`, 'id', id))
    return values[id]
  }
  const post = cache.define('post', load, dependencies === 0 ? { ttl: '1h' } : { ttl: '1h', grace: '1h' })
  await fill(values.length, post)
  return post
}

async function lru(keys, values, options) {
  const { LRUCache } = await import('lru-cache')
  const cache = new LRUCache({ max: keys.length, ...options })
  await fill(keys.length, (i) => cache.set(keys[i], values[i]))
  return cache
}

async function map(keys, values) {
  return new Map(keys.map((key, i) => [key, values[i]]))
}

/** Synchronous reads: `open` resolves with `(i) => value`. */
export const peeks = {
  'Map.get': async (keys, values) => {
    const cache = await map(keys, values)
    return (i) => cache.get(keys[i])
  },
  'lru-cache get': async (keys, values) => {
    const cache = await lru(keys, values, {})
    return (i) => cache.get(keys[i])
  },
  'lru-cache get, ttl': async (keys, values) => {
    const cache = await lru(keys, values, { ttl: HOUR_MS })
    return (i) => cache.get(keys[i])
  },
  'lru-cache get, ttl, number keys': async (_, values) => {
    const cache = await lru(
      values.map((_, i) => i),
      values,
      { ttl: HOUR_MS },
    )
    return (i) => cache.get(i)
  },
  'tidemark cache.peek': async (keys, values) => {
    const { cache } = await tidemark(keys.length)
    await fill(keys.length, (i) => cache.get(keys[i], () => values[i], { ttl: '1h' }))
    return (i) => cache.peek(keys[i])
  },
  'tidemark post.peek, string argument': async (keys, values) => {
    const { cache } = await tidemark(keys.length)
    const index = await map(keys, values)
    const post = cache.define('post', (_, key) => index.get(key), { ttl: '1h' })
    await fill(keys.length, (i) => post(keys[i]))
    return (i) => post.peek(keys[i])
  },
  'tidemark post.peek, 0 dependencies': async (_, values) => (await definition(values, 0)).peek,
  'tidemark post.peek, 5 dependencies': async (_, values) => (await definition(values, 5)).peek,
}

/** Awaited reads, each as its users write it: `open` resolves with `(i) => promise`. */
export const awaits = {
  'Map.get': peeks['Map.get'],
  'lru-cache fetch, ttl': async (keys, values) => {
    const index = await map(keys, values)
    const cache = await lru(keys, values, { ttl: HOUR_MS, fetchMethod: (key) => index.get(key) })
    return (i) => cache.fetch(keys[i])
  },
  'cache-manager get': async (keys, values) => {
    const cache = await cacheManager(keys, values)
    return (i) => cache.get(keys[i])
  },
  'cache-manager wrap': async (keys, values) => {
    const cache = await cacheManager(keys, values)
    return (i) => cache.wrap(keys[i], () => values[i], { ttl: HOUR_MS })
  },
  'cacheable get': async (keys, values) => {
    const cache = await cacheable(keys, values)
    return (i) => cache.get(keys[i])
  },
  'cacheable getOrSet': async (keys, values) => {
    const cache = await cacheable(keys, values)
    return (i) => cache.getOrSet(keys[i], async () => values[i], { ttl: '1h' })
  },
  'bentocache get': async (keys, values) => {
    const cache = await bento(keys, values)
    return (i) => cache.get({ key: keys[i] })
  },
  'bentocache getOrSet': async (keys, values) => {
    const cache = await bento(keys, values)
    return (i) => cache.getOrSet({ key: keys[i], factory: () => values[i] })
  },
  'tidemark await post(id)': async (_, values) => definition(values, 0),
  'tidemark await post(id), 5 dependencies': async (_, values) => definition(values, 5),
  'tidemark await cache.get': async (keys, values) => {
    const { cache } = await tidemark(keys.length)
    const read = (i) => cache.get(keys[i], () => values[i], { tags: ['users'], ttl: '1h', grace: '5m' })
    await fill(keys.length, read)
    return read
  },
}

/** A thousand reads of a missing key at once: `open` resolves with `(load) => promise`. */
export const stampedes = {
  'lru-cache fetch': async () => {
    const { LRUCache } = await import('lru-cache')
    let cache
    return (load) => {
      cache ??= new LRUCache({ max: 10, fetchMethod: load })
      return cache.fetch('key')
    }
  },
  'cache-manager wrap': async () => {
    const cache = await cacheManager([], [])
    return (load) => cache.wrap('key', load, { ttl: HOUR_MS })
  },
  'cacheable getOrSet': async () => {
    const cache = await cacheable([], [])
    return (load) => cache.getOrSet('key', load, { ttl: '1h' })
  },
  'bentocache getOrSet': async () => {
    const cache = await bento([], [])
    return (load) => cache.getOrSet({ key: 'key', factory: load })
  },
  'tidemark cache.get': async () => {
    const { cache } = await tidemark(10)
    return (load) => cache.get('key', load, { ttl: '1h' })
  },
}

/** What 1e6 entries take: `open` resolves with what holds them. */
export const holders = {
  Map: map,
  'lru-cache, ttl': (keys, values) => lru(keys, values, { ttl: HOUR_MS }),
  'cache-manager, ttl': cacheManager,
  'cacheable, ttl': cacheable,
  'bentocache, ttl': bento,
  'bentocache, ttl, one tag of 1,000': (keys, values) => bento(keys, values, (i) => [`tag ${i % 1000}`]),
  'tidemark, ttl': (keys, values) => held(keys, values, () => []),
  'tidemark, ttl, one tag of 1,000': (keys, values) => held(keys, values, (i) => [`tag ${i % 1000}`]),
  'tidemark, ttl, five tags of 1,000': (keys, values) =>
    held(keys, values, (i) => [0, 1, 2, 3, 4].map((n) => `tag ${(i + n * 31) % 1000}`)),
  'tidemark, a row of its own (number keys)': (_, values) => definition(values, 1),
  'tidemark, five rows of its own (number keys)': (_, values) => definition(values, 5),
}

async function held(keys, values, tagsOf) {
  const { cache } = await tidemark(keys.length)
  await fill(keys.length, (i) => cache.get(keys[i], () => values[i], { ttl: '1h', tags: tagsOf(i) }))
  if (cache.status().entries !== keys.length) throw new Error('Not all entries were kept.')
  return cache
}

async function cacheManager(keys, values) {
  const { createCache } = await import('cache-manager')
  const cache = createCache({ ttl: HOUR_MS })
  await fill(keys.length, (i) => cache.set(keys[i], values[i]))
  return cache
}

async function cacheable(keys, values) {
  const { Cacheable } = await import('cacheable')
  const cache = new Cacheable({ ttl: '1h' })
  await fill(keys.length, (i) => cache.set(keys[i], values[i]))
  return cache
}

async function bento(keys, values, tagsOf) {
  const { BentoCache, bentostore } = await import('bentocache')
  const { memoryDriver } = await import('bentocache/drivers/memory')
  const store = bentostore().useL1Layer(memoryDriver({ maxItems: Math.max(1000, keys.length) }))
  const cache = new BentoCache({ default: 'memory', ttl: '1h', stores: { memory: store } })
  await fill(keys.length, (i) => cache.set({ key: keys[i], value: values[i], ...(tagsOf && { tags: tagsOf(i) }) }))
  return cache
}
