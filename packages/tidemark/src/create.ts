import type { Cache, CacheOptions } from './cache.js'
import { systemClock } from './clock.js'
import { Core, type CoreOptions } from './core.js'
import { Definitions } from './definitions.js'
import { milliseconds } from './duration.js'
import { OptionError } from './errors.js'
import { acquireFollower } from './follow/registry.js'
import { countOf, ENTRY_OPTIONS, namesOf, policyOf } from './options.js'
import { quotaBookOf } from './tiers/limits.js'
import { View } from './view.js'

const NAMES = [
  'source',
  'log',
  'l1',
  'l2',
  'version',
  'maxSilence',
  'waitMax',
  'proofWait',
  'ringMax',
  'ringRowsMax',
  'watchMax',
  'patterns',
  'defaults',
  'clock',
] as const satisfies readonly (keyof CacheOptions<object>)[]

const SWEEPS = {
  sliceSteps: Number.POSITIVE_INFINITY,
  stepKeys: 16,
  sweepsMax: 1_000,
  touchedMax: 1_000,
  partedMin: 10_000,
}

/**
 * Makes a cache. It follows its source at once, in the background: reads are answered from the source until the log is
 * followed. Without a source, entries leave by expiry and explicit invalidation only.
 *
 * @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be
 */
export function createCache<Context extends object = object>(options: CacheOptions<Context> = {}): Cache<Context> {
  namesOf(options, NAMES, 'createCache()')
  const { source, log, clock = systemClock, l1 = {}, patterns = {}, defaults = {} } = options
  if (source !== undefined && typeof source?.openLog !== 'function')
    throw new OptionError("source must be a source, like postgres({ url }) of '@tidemark/postgres'.")
  if (options.l2 !== undefined && (typeof options.l2?.read !== 'function' || (source ?? log) === undefined))
    throw new OptionError(
      "l2 must be a tier that processes share, like redisL2({ url }) of '@tidemark/redis', beside a source or a log that they all follow.",
    )
  if (options.version !== undefined && typeof options.version !== 'string')
    throw new OptionError('version must be a text: it names what computes the values.')
  if (log !== undefined && typeof log?.follow !== 'function')
    throw new OptionError("log must be a log, like redisLog({ url }) of '@tidemark/redis'.")
  namesOf(l1, ['maxEntries', 'maxBytes', 'tenantShare', 'quotas'], 'l1')
  const { tenantShare = 1 } = l1
  if (typeof tenantShare !== 'number' || !(tenantShare > 0 && tenantShare <= 1))
    throw new OptionError('l1.tenantShare is a number above 0, and at most 1: the part of L1 that one tenant may fill.')
  namesOf(patterns, ['maxLength', 'maxCount'], 'patterns')
  namesOf(defaults, ENTRY_OPTIONS, 'defaults')
  const unfollowedTtlMs = source?.unfollowedTtlMs ?? Number.POSITIVE_INFINITY
  const defaultPolicy = policyOf(defaults, unfollowedTtlMs)
  const settings: CoreOptions = {
    source,
    l1: {
      maxEntries: countOf(l1.maxEntries, 'l1.maxEntries', 100_000),
      maxBytes: countOf(l1.maxBytes, 'l1.maxBytes', 256 * 2 ** 20),
      tenantShare,
      quotas: quotaBookOf(l1.quotas),
    },
    maxSilenceMs: milliseconds(options.maxSilence ?? '5s', 'maxSilence'),
    waitMaxMs: milliseconds(options.waitMax ?? '1s', 'waitMax'),
    proofWaitMs: milliseconds(options.proofWait ?? '1s', 'proofWait'),
    watchMax: countOf(options.watchMax, 'watchMax', 10_000),
    l2: options.l2,
    version: options.version ?? '',
    ringMax: countOf(options.ringMax, 'ringMax', 100_000),
    patterns: {
      maxLength: countOf(patterns.maxLength, 'patterns.maxLength', 1_024),
      maxCount: countOf(patterns.maxCount, 'patterns.maxCount', 100),
    },
    ...SWEEPS,
    clock,
  }
  const ring = {
    changesMax: settings.ringMax,
    rowsMax: countOf(options.ringRowsMax, 'ringRowsMax', 10_000),
  }
  // Last: what was refused must leave nothing open.
  const core = new Core(settings, acquireFollower(source, log, clock, ring))
  source?.observe?.((name, listener) => core.observers.on(name, listener))
  return new View<Context>(core, new Definitions(core, defaults, defaultPolicy, unfollowedTtlMs))
}
