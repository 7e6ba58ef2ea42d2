import type { Cache, CacheOptions } from './cache.js'
import { systemClock } from './clock.js'
import { Core } from './core.js'
import { Definitions } from './definitions.js'
import { milliseconds } from './duration.js'
import { OptionError } from './errors.js'
import { acquireFollower } from './follow/registry.js'
import { countOf } from './options.js'
import { View } from './view.js'

const NAMES = new Set([
  'source',
  'l1',
  'maxSilence',
  'waitMax',
  'proofWait',
  'ringMax',
  'ringRowsMax',
  'watchMax',
  'defaults',
  'clock',
])

/**
 * Makes a cache. It follows its source at once, in the background: reads are answered from the source until the log is
 * followed. Without a source, entries leave by expiry and explicit invalidation only.
 *
 * @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be
 */
export function createCache<Context extends object = object>(options: CacheOptions<Context> = {}): Cache<Context> {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name))
      throw new OptionError(`There is no cache option '${name}'. The options are ${[...NAMES].join(', ')}.`)
  }
  const clock = options.clock ?? systemClock
  const source = options.source
  const maxSilenceMs = milliseconds(options.maxSilence ?? '5s', 'maxSilence')
  const acquired = acquireFollower(source, clock, {
    changesMax: countOf(options.ringMax, 'ringMax', 100_000),
    rowsMax: countOf(options.ringRowsMax, 'ringRowsMax', 10_000),
  })
  const core = new Core(
    {
      source,
      l1: {
        maxEntries: countOf(options.l1?.maxEntries, 'l1.maxEntries', 100_000),
        maxBytes: countOf(options.l1?.maxBytes, 'l1.maxBytes', 256 * 2 ** 20),
      },
      maxSilenceMs,
      waitMaxMs: milliseconds(options.waitMax ?? '1s', 'waitMax'),
      proofWaitMs: milliseconds(options.proofWait ?? '1s', 'proofWait'),
      watchMax: countOf(options.watchMax, 'watchMax', 10_000),
      clock,
    },
    acquired,
  )
  return new View<Context>(
    core,
    new Definitions(core, options.defaults ?? {}, source?.unfollowedTtlMs ?? Number.POSITIVE_INFINITY),
  )
}
