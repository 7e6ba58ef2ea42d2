import { type Clock, type Duration, OptionError, systemClock } from 'tidemark'
import type { RedisClient } from './scripts/script.js'
import { msgpack, type Serializer } from './serializer.js'

/** What `redisL2` takes. One of `client` and `url` is needed. */
export interface RedisL2Options {
  /** A client of ioredis: `Redis` (alone, or by Sentinel), or `Cluster`. It stays yours: `close` leaves it open. */
  readonly client?: RedisClient
  /** `redis://user:password@host:6379/0`, or `rediss://…` with TLS. The connection is closed with the L2. */
  readonly url?: string
  /** What distinguishes it from others in the same Redis: all processes of one application have the same. Default `tidemark`. */
  readonly name?: string
  /** Into how many parts it is split, at most 1,024; all processes must have the same. Default 16 in a Cluster, else 1. */
  readonly buckets?: number
  /** How long a read or a fill may take. Default 50 ms. */
  readonly deadline?: Duration
  /** How long it may take to apply a part of what happened in the log (up to 5,000 marks). Default 1 s. */
  readonly batchDeadline?: Duration
  /** No entry stays in Redis for longer, fresh or not. Default 7 days. */
  readonly keepMax?: Duration
  /** Larger entries are not stored, in bytes. Default 1 MiB. */
  readonly entryBytesMax?: number
  /** So many stamps are kept; what is older than the ones that are dropped is a miss if it was not read meanwhile. Default 1,000,000. */
  readonly stampsMax?: number
  /** So many shapes may be registered; beyond, entries are stamped by whole tables. Default 2,000. */
  readonly shapesMax?: number
  /** Default: msgpack, which brings back all that L1 can hold. */
  readonly serializer?: Serializer
  /** Values of more bytes are compressed (deflate). Default: none are. */
  readonly compressAbove?: number
  /** After so many failures one after the other Redis is left alone: for 0.5 s, then twice as long each time, up to 10 s. Default 5. */
  readonly failuresMax?: number
  /** Time, for tests. */
  readonly clock?: Clock
}

/** The same, checked and with the defaults. */
export interface Settings {
  readonly name: string
  readonly buckets: number
  readonly deadlineMs: number
  readonly batchDeadlineMs: number
  readonly keepMaxMs: number
  readonly entryBytesMax: number
  readonly stampsMax: number
  readonly shapesMax: number
  readonly serializer: Serializer
  readonly compressAbove: number
  readonly failuresMax: number
  readonly clock: Clock
}

const NAMES = [
  'client',
  'url',
  'name',
  'buckets',
  'deadline',
  'batchDeadline',
  'keepMax',
  'entryBytesMax',
  'stampsMax',
  'shapesMax',
  'serializer',
  'compressAbove',
  'failuresMax',
  'clock',
] as const satisfies readonly (keyof RedisL2Options)[]

const CLUSTER_BUCKETS = 16
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be */
export function settingsOf(options: RedisL2Options): Settings {
  for (const name of Object.keys(options)) {
    if (!(NAMES as readonly string[]).includes(name))
      throw new OptionError(`redisL2 has no option ${name}. It has: ${NAMES.join(', ')}.`)
  }
  const { client, url, name = 'tidemark', clock = systemClock } = options
  if ((client === undefined) === (url === undefined))
    throw new OptionError('redisL2 needs one of `client` (an ioredis Redis or Cluster) and `url` (redis://…).')
  if (url !== undefined && !/^rediss?:\/\//.test(url))
    throw new OptionError('redisL2: url must begin with redis:// or rediss://.')
  if (client !== undefined && typeof client.callBuffer !== 'function')
    throw new OptionError('redisL2: client must be a Redis or Cluster of ioredis.')
  if (!/^[\w.:-]{1,100}$/.test(name))
    throw new OptionError('redisL2: name may have up to 100 letters, digits, and any of _ . : -')
  const entryBytesMax = whole(options.entryBytesMax ?? 1_048_576, 'entryBytesMax', 1_024, 256 * 1_048_576)
  return {
    name,
    clock,
    buckets: whole(options.buckets ?? (client?.isCluster ? CLUSTER_BUCKETS : 1), 'buckets', 1, 1_024),
    deadlineMs: milliseconds(options.deadline ?? 50, 'deadline'),
    batchDeadlineMs: milliseconds(options.batchDeadline ?? 1_000, 'batchDeadline'),
    keepMaxMs: milliseconds(options.keepMax ?? '7d', 'keepMax'),
    entryBytesMax,
    stampsMax: whole(options.stampsMax ?? 1_000_000, 'stampsMax', 1, 100_000_000),
    shapesMax: whole(options.shapesMax ?? 2_000, 'shapesMax', 1, 100_000),
    serializer: options.serializer ?? msgpack(entryBytesMax),
    compressAbove:
      options.compressAbove === undefined ? Infinity : whole(options.compressAbove, 'compressAbove', 0, 2 ** 31),
    failuresMax: whole(options.failuresMax ?? 5, 'failuresMax', 1, 1_000_000),
  }
}

function whole(value: number, name: string, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new OptionError(`redisL2: ${name} must be a whole number from ${least} to ${most}.`)
}

function milliseconds(duration: Duration, name: string): number {
  const parts = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) : undefined
  const ms = parts ? Number(parts[1]) * UNITS[parts[2] as keyof typeof UNITS] : duration
  if (typeof ms === 'number' && ms >= 1 && ms < Infinity) return ms
  throw new OptionError(
    `redisL2: ${name} must be a duration of at least 1 ms: milliseconds, or a number with ms, s, m, h or d, like '50ms'.`,
  )
}
