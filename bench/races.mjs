// Races between a load and an invalidation: who is left with the old value? `node bench/races.mjs` prints the table, and writes
// it into docs/races.md. Every race is brought about by a gate, not by luck: the loader has read the old value and waits; then
// the source changes and the caller invalidates, as the peer's documentation says; then the loader goes on.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { createCache as createCacheManager } from 'cache-manager'
import { Cacheable } from 'cacheable'
import { LRUCache } from 'lru-cache'
import { createCache } from 'tidemark'

const TRIALS = 20
const FILE = new URL('../docs/races.md', import.meta.url)
/** Long enough for a refresh that nobody waits for to be stored. */
const STORED_MS = 20
/** How long a load goes on after the invalidation: some peers compare clocks of whole ms. */
const LOAD_MS = 5
/** Entries of background refreshes are old after this. */
const OLD_MS = 10
const LONG_MS = 3_600_000

/**
 * Each opens a cache: `read` fills a missing entry; `refresh` reads an entry that is due for a refresh in the background;
 * `byKey` and `byTag` invalidate. What a peer does not offer is left out.
 */
const contenders = {
  tidemark() {
    const cache = createCache()
    const late = { tags: ['t'], ttl: LONG_MS, earlyRefresh: 1e-9 }
    return {
      read: (load) => cache.get('k', load, { tags: ['t'], ttl: LONG_MS }),
      refresh: (load) => cache.get('k', load, late),
      byKey: () => cache.invalidate({ keys: ['k'] }),
      byTag: () => cache.invalidate({ tags: ['t'] }),
      close: () => cache.close(),
    }
  },
  bentocache() {
    const cache = new BentoCache({
      default: 'memory',
      stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 100 })) },
    })
    return {
      read: (load) => cache.getOrSet({ key: 'k', factory: load, tags: ['t'], ttl: LONG_MS }),
      // Its grace: an expired value is given at once, and refreshed behind it.
      prime: (load) => cache.getOrSet({ key: 'k', factory: load, tags: ['t'], ttl: OLD_MS, grace: LONG_MS }),
      refresh: (load) =>
        cache.getOrSet({ key: 'k', factory: load, tags: ['t'], ttl: LONG_MS, grace: LONG_MS, timeout: 0 }),
      byKey: () => cache.delete({ key: 'k' }),
      byTag: () => cache.deleteByTag({ tags: ['t'] }),
      close: () => cache.disconnectAll(),
    }
  },
  cacheable() {
    const cache = new Cacheable({ tags: true })
    return {
      read: (load) => cache.getOrSet('k', load, { ttl: LONG_MS }),
      // Its getOrSet() takes no tags.
      readTagged: async (load) => {
        const found = await cache.get('k')
        if (found !== undefined) return found
        const value = await load()
        await cache.set('k', value, { ttl: LONG_MS, tags: ['t'] })
        return value
      },
      byKey: () => cache.delete('k'),
      byTag: () => cache.tags.invalidateTag('t'),
      close: () => cache.disconnect(),
    }
  },
  'cache-manager'() {
    const cache = createCacheManager()
    return {
      read: (load) => cache.wrap('k', load, LONG_MS),
      refresh: (load) => cache.wrap('k', load, LONG_MS, LONG_MS + 1),
      byKey: () => cache.del('k'),
      close: () => cache.disconnect(),
    }
  },
  'lru-cache'() {
    const loads = { current: undefined }
    const cache = new LRUCache({ max: 100, ttl: OLD_MS, allowStale: true, fetchMethod: () => loads.current() })
    const fetch = (load, options) => {
      loads.current = load
      return cache.fetch('k', options)
    }
    return {
      read: (load) => fetch(load, { ttl: LONG_MS }),
      prime: (load) => fetch(load, { ttl: OLD_MS }),
      refresh: (load) => fetch(load, { ttl: LONG_MS }),
      byKey: async () => cache.delete('k'),
      close: async () => cache.clear(),
    }
  },
}

/** Each resolves with whether the old value is what a read gets in the end, or undefined if the contender has no such way. */
const scenarios = {
  'invalidated by key while it loads': (cache) => duringLoad(cache.read, cache.byKey),
  'invalidated by tag while it loads': (cache) => duringLoad(cache.readTagged ?? cache.read, cache.byTag),
  'asked after an invalidation by key, while a load from before it runs': (cache) =>
    askedAfter(cache.read, cache.byKey),
  'asked after an invalidation by tag, while a load from before it runs': (cache) =>
    askedAfter(cache.readTagged ?? cache.read, cache.byTag),
  'invalidated by key during a background refresh': (cache) => duringRefresh(cache, cache.byKey),
  'invalidated by tag during a background refresh': (cache) => duringRefresh(cache, cache.byTag),
}

async function duringLoad(read, invalidate) {
  if (!invalidate) return undefined
  const source = new Source()
  const first = settle(read(source.slowly))
  await source.hasRead
  source.value = 'new'
  await invalidate()
  await sleep(LOAD_MS)
  source.goOn()
  await first
  return (await read(source.atOnce)) === 'old'
}

async function askedAfter(read, invalidate) {
  if (!invalidate) return undefined
  const source = new Source()
  const first = settle(read(source.slowly))
  await source.hasRead
  source.value = 'new'
  await invalidate()
  const second = settle(read(source.atOnce))
  await sleep(LOAD_MS)
  source.goOn()
  await first
  return (await second) === 'old'
}

async function duringRefresh(cache, invalidate) {
  if (!invalidate || !cache.refresh) return undefined
  const source = new Source()
  await (cache.prime ?? cache.read)(source.atOnce)
  await sleep(OLD_MS * 2)
  const hit = settle(cache.refresh(source.slowly))
  await source.hasRead
  source.value = 'new'
  await invalidate()
  await sleep(LOAD_MS)
  source.goOn()
  await hit
  await sleep(STORED_MS)
  return (await cache.read(source.atOnce)) === 'old'
}

/** One value, and two loaders of it: one that waits after it has read, and one that does not. */
class Source {
  value = 'old'
  hasRead
  goOn
  #read
  #gate

  constructor() {
    this.hasRead = new Promise((resolve) => {
      this.#read = resolve
    })
    this.#gate = new Promise((resolve) => {
      this.goOn = resolve
    })
  }

  slowly = async () => {
    const value = this.value
    this.#read()
    await this.#gate
    return value
  }

  atOnce = async () => this.value
}

/** A read may fail because it was overtaken: that is no old value. */
function settle(read) {
  return Promise.resolve(read).catch(() => undefined)
}

/** How often each contender was left with the old value, of `trials`; undefined where it offers no such thing. */
export async function races(trials = TRIALS) {
  const results = {}
  for (const [scenario, run] of Object.entries(scenarios)) {
    results[scenario] = {}
    for (const [name, open] of Object.entries(contenders)) {
      let lost = 0
      for (let trial = 0; trial < trials && lost !== undefined; trial++) {
        const cache = open()
        const isLost = await run(cache)
        lost = isLost === undefined ? undefined : lost + Number(isLost)
        await cache.close()
      }
      results[scenario][name] = lost
    }
  }
  return results
}

function table(results, trials) {
  const require = createRequire(import.meta.url)
  const versions = Object.keys(contenders).map((name) => {
    const path = name === 'tidemark' ? '../packages/tidemark/package.json' : `../node_modules/${name}/package.json`
    return `${name} ${require(path).version}`
  })
  const cell = (lost) => (lost === undefined ? '–' : lost === 0 ? 'none' : `**${lost} of ${trials}**`)
  const rows = Object.entries(results).map(([scenario, lost]) => [scenario, ...Object.values(lost).map(cell)])
  const lines = [['stale after it was', ...versions], ['---', ...versions.map(() => '---')], ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = table(await races(), TRIALS)
  console.log(text)
  const page = readFileSync(FILE, 'utf8')
  writeFileSync(FILE, page.replace(/(<!-- races -->\n)[\s\S]*?(<!-- \/races -->)/, `$1\n${text}\n\n$2`))
}
