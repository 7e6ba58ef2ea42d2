import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { type Cluster, type ClusterOptions, Redis } from 'ioredis'
import { OptionError } from 'tidemark'

/** A client or cluster of ioredis (5 or 6), of which connections of our own are made; itself it is never used nor closed. */
export interface IoRedis {
  readonly isCluster: boolean
  readonly options: object
  duplicate(...overrides: never[]): unknown
}

/** Where the stream is: an address, or a client that knows it. One of the two. */
export interface StreamAddress {
  /** `redis://user:password@host:6379/0`; `rediss://…` with TLS. */
  readonly url?: string
  /** For Sentinel, Cluster, and what an address can't say. */
  readonly client?: IoRedis
  /** TLS for `url`: `ca`, `cert`, `key`, `servername` … of node:tls. Giving any, even `{}`, turns it on. */
  readonly tls?: TlsOptions
}

/** The part of ioredis that is used, whichever of its kinds the client is. */
export type RedisConnection = Pick<
  Redis,
  | 'connect'
  | 'disconnect'
  | 'eval'
  | 'evalsha'
  | 'xread'
  | 'xrange'
  | 'xrevrange'
  | 'on'
  | 'publish'
  | 'subscribe'
  | 'ping'
>

/** @throws OptionError (`TIDEMARK_OPTION`) */
export function checkAddress(caller: string, { url, client, tls }: StreamAddress): void {
  if ((url === undefined) === (client === undefined))
    throw new OptionError(`${caller} wants either url or client (an ioredis Redis or Cluster).`)
  if (url !== undefined && !(typeof url === 'string' && /^rediss?:\/\/./.test(url)))
    throw new OptionError(`${caller}: url must be like redis://user:password@host:6379/0, or rediss:// with TLS.`)
  if (client !== undefined && typeof client?.duplicate !== 'function')
    throw new OptionError(`${caller}: client must be a Redis or Cluster of ioredis.`)
  if (client !== undefined && tls !== undefined)
    throw new OptionError(`${caller}: give tls with url. A client has its own.`)
}

/** A connection that is not open yet, and that is not taken up again by itself when it is lost. */
export function connectionTo({ url, client, tls }: StreamAddress, connectTimeoutMs: number): RedisConnection {
  const own = {
    lazyConnect: true,
    retryStrategy: () => null,
    reconnectOnError: null,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: connectTimeoutMs,
    connectionName: 'tidemark',
    enableAutoPipelining: false,
    readOnly: false,
  }
  if (client === undefined) {
    const redis = new Redis(url!, { ...own, ...(tls === undefined ? {} : { tls }) })
    return listened(redis)
  }
  if (!client.isCluster) {
    const redis = (client as unknown as Redis).duplicate({ ...own, sentinelRetryStrategy: () => null })
    return listened(redis)
  }
  const cluster = client as unknown as Cluster
  const { lazyConnect, retryStrategy, readOnly: _, ...ofNodes } = own
  const overrides: ClusterOptions = {
    lazyConnect,
    clusterRetryStrategy: retryStrategy,
    // What a replica answers lags.
    scaleReads: 'master',
    enableAutoPipelining: false,
    redisOptions: { ...cluster.options.redisOptions, ...ofNodes },
  }
  return listened(cluster.duplicate([], overrides as object))
}

/** An error event that nobody listens to would end the process; whoever uses the connection sees its commands reject. */
function listened(redis: Redis | Cluster): RedisConnection {
  redis.on('error', () => {})
  return redis as RedisConnection
}
