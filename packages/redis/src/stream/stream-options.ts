import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { type Clock, OptionError, systemClock } from 'tidemark'
import { checkAddress, type IoRedis } from './address.js'
import type { LineOptions } from './line.js'
import { Seals } from './seal.js'

/** Where a stream is, and how it is kept. */
export interface StreamOptions {
  /** `redis://user:password@host:6379/0`; `rediss://…` with TLS. Either this or `client`. */
  readonly url?: string
  /** For Sentinel, Cluster, and what an address can't say. Connections of our own are made with its settings. */
  readonly client?: IoRedis
  /** TLS for `url`: `ca`, `cert`, `key`, `servername` … of node:tls. Giving any, even `{}`, turns it on. */
  readonly tls?: TlsOptions
  /** The key of the stream: one for each application. */
  readonly stream?: string
  /** Shared by all processes of the application, as the HMAC of what they write into the stream. */
  readonly secret?: string
  /** So many records are kept, or a few more; a process that is further behind empties its cache. Default 100,000. */
  readonly retain?: number
  /** Default 5,000 ms. */
  readonly connectTimeoutMs?: number
  /** Within this Redis answers, or the connection counts as dead. Default 2,000 ms. */
  readonly commandTimeoutMs?: number
  readonly clock?: Clock
}

/** What was checked, with defaults. */
export interface StreamSettings {
  readonly line: LineOptions
  readonly seals: Seals
  readonly retain: number
}

/** @throws OptionError (`TIDEMARK_OPTION`) naming the option of `caller` */
export function settingsOf(caller: string, options: StreamOptions, defaultStream: string): StreamSettings {
  const {
    stream = defaultStream,
    secret,
    retain = 100_000,
    connectTimeoutMs = 5_000,
    commandTimeoutMs = 2_000,
  } = options
  checkAddress(`${caller}()`, options)
  if (typeof stream !== 'string' || stream === '')
    throw new OptionError(`${caller}({ stream }) must be the name of a key.`)
  if (secret !== undefined && (typeof secret !== 'string' || secret === ''))
    throw new OptionError(`${caller}({ secret }) must be a text that is not empty.`)
  for (const [name, value] of Object.entries({ retain, connectTimeoutMs, commandTimeoutMs })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new OptionError(`${caller}({ ${name} }) must be a whole number of at least 1.`)
  }
  const { url, client, tls, clock = systemClock } = options
  const address = { ...(url && { url }), ...(client && { client }), ...(tls && { tls }) }
  return {
    line: { ...address, stream, connectTimeoutMs, commandTimeoutMs, clock },
    seals: new Seals(secret, stream),
    retain,
  }
}
