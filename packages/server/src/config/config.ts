import type { TreeLimits } from '@tidemark/trees'
import type { Duration } from 'tidemark'
import type { Role } from '../access/action.js'
import type { ParameterTypeName } from '../resources/parameter-type.js'

/** What a configuration file says, checked, with defaults filled in. */
export interface Config {
  /** The file's path, for messages. */
  readonly file: string
  /** `production`: self-checks are sampled, and secrets that everybody knows are refused. */
  readonly profile: 'development' | 'production'
  readonly source: SourceConfig
  readonly cache: CacheConfig
  readonly l2: L2Config
  readonly relay: RelayConfig
  readonly invalidation: InvalidationConfig
  readonly journal: JournalConfig
  readonly access: AccessConfig
  readonly cluster: ClusterConfig
  readonly limits: LimitsConfig
  readonly trees: TreesConfig
  readonly socketio: SocketConfig
  readonly resources: readonly ResourceConfig[]
  readonly server: ServerConfig
}

export interface SourceConfig {
  /** The database's connection string. Without one the server starts its own PostgreSQL. */
  readonly url: string | undefined
  /** Where `url` is a pooler: the database's own address, to follow its log. */
  readonly directUrl: string | undefined
  /** The publication's name. Default: made by the source. */
  readonly publication: string | undefined
  /** A permanent replication slot that all processes share. Default: temporary ones only. */
  readonly slot: string | undefined
  /** The WAL, in bytes, that the server may keep for it. Default: the source's, 4 GiB. */
  readonly slotKeepMax: number | undefined
  /** How long, and for how much of it, the slot waits for L2 and relay. Default: the source's, 10 s and 256 MiB. */
  readonly ackHold: Duration | undefined
  readonly ackHoldMax: number | undefined
  /** How many connections queries may use at once. Default: the source's, 10. */
  readonly connections: number | undefined
  /** `off`: do not follow the log; entries expire instead. */
  readonly follow: 'auto' | 'off'
}

export interface CacheConfig {
  readonly maxEntries: number | undefined
  readonly maxBytes: number | undefined
  readonly maxSilence: Duration | undefined
  readonly waitMax: Duration | undefined
}

/** The tier that processes share. */
export interface L2Config {
  /** The address of Redis or Valkey; undefined: there is no such tier. */
  readonly redis: string | undefined
  /** What distinguishes it from others in the same Redis. Default: `tidemark`. */
  readonly name: string | undefined
}

/** Config trees, in tables of the source's database. */
export interface TreesConfig {
  /** `auto`: where the database is the server's own. */
  readonly enabled: boolean | 'auto'
  /** Whether `/api/:tenant/:config` and `/metrics/:tenant/:config` are served too. */
  readonly shortForms: boolean
  /** Tenants that have tables of their own, in a schema each. */
  readonly ownTables: readonly string[]
  readonly limits: Partial<TreeLimits>
}

/** Socket.IO. */
export interface SocketConfig {
  readonly enabled: boolean
  /** What one socket may follow at once. */
  readonly subscriptionsMax: number
  /** What one socket may send in a second, of any kind, before it is closed. */
  readonly messagesPerSecond: number
  /** How large each of these may be. */
  readonly messageMaxBytes: number
  /** How many nodes a path with wildcards may name. */
  readonly nodesMax: number
}

/** The record of all changes. */
export interface JournalConfig {
  /** undefined: where there is a shared slot and the rights are there; else the server says why not. */
  readonly enabled: boolean | undefined
  /** Without it the server does not start. */
  readonly required: boolean
  /** The database of its tables. Default: the source's. */
  readonly url: string | undefined
  /** The folder of its key and signed heads. Default: `journal` in the data folder. */
  readonly heads: string | undefined
  readonly retention: Duration | undefined
}

/** How one process reads the database's log for all. */
export interface RelayConfig {
  /** The address of Redis or Valkey; undefined: each process reads the log by itself. */
  readonly redis: string | undefined
  /** The key of its stream. Default: `tidemark:relay`. */
  readonly stream: string | undefined
  /** The HMAC's key of what the processes write there and into the log; the same for all of them. */
  readonly secret: string | undefined
  /** `follower`: never reads the log itself. `leader`: never what others relay. */
  readonly role: 'auto' | 'leader' | 'follower'
}

/** Requests to invalidate. */
export interface InvalidationConfig {
  /** How many request ids are remembered, so that one that is repeated is answered as before; and for how long, in ms. */
  readonly requestsMax: number
  readonly requestsKeepMs: number
  /** How long an answer waits until this process has applied what it asked for, in ms. */
  readonly appliedMaxMs: number
  /** How long an answer waits for the other processes and for L2, where that is asked for, in ms. */
  readonly acksMaxMs: number
}

/** Who is let in. Neither tokens nor JWT nor OIDC: programs on this machine, for everything. */
export interface AccessConfig {
  /** Tokens that `tidemark tokens create` made, in the database. */
  readonly tokens: boolean
  /** How long tokens that were looked up before are believed while the database cannot be asked, in ms. */
  readonly outageMaxMs: number
  readonly jwt: JwtConfig | undefined
  readonly oidc: OidcConfig | undefined
}

/** How much may be done where it is asked who comes. */
export interface LimitsConfig {
  /** Units that each principal may use in each tenant within the window: one for a request, and for each `keysPerUnit` keys. */
  readonly requests: number
  readonly windowMs: number
  readonly keysPerUnit: number
  /** Of one tenant. */
  readonly patternsPerSecond: number
  /** Streams open at once, of one tenant. */
  readonly streamsPerTenant: number
  /** The part of the entries and bytes in memory that one tenant may have while others need room. */
  readonly memoryShare: number
  /** What one tenant may have in memory in any case; undefined: no number of its own. */
  readonly keysPerTenant: number | undefined
  readonly bytesPerTenant: number | undefined
  /** Those of whom something else is said. */
  readonly tenants: ReadonlyMap<string, TenantLimits>
}

/** What is said of one tenant; undefined: as of all. */
export interface TenantLimits {
  readonly keys: number | undefined
  readonly bytes: number | undefined
  readonly patternsPerSecond: number | undefined
  readonly streams: number | undefined
}

/** Signed tokens of somebody else's. */
export interface JwtConfig {
  readonly issuer: string
  readonly audience: string
  /** The address of the issuer's keys, or a file that has them. */
  readonly jwks: string
  readonly algorithms: readonly string[]
  /** The claims that say who it is, and what they may do where. */
  readonly actorClaim: string
  readonly rolesClaim: string
  readonly tenantsClaim: string
}

/** Where people sign in with their browser. */
export interface OidcConfig {
  readonly issuer: string
  readonly clientId: string
  /** undefined: a public client. */
  readonly clientSecret: string | undefined
  readonly scopes: readonly string[]
  readonly actorClaim: string
  readonly rolesClaim: string
  /** The role that each value of the claim stands for; undefined: the values are roles. */
  readonly roles: Readonly<Record<string, Role>> | undefined
  readonly tenantsClaim: string
  /** Of whoever signs in, instead of the claim. */
  readonly tenants: readonly string[] | 'all' | undefined
  /** How long somebody stays signed in. */
  readonly sessionMs: number
}

/** How processes that share L2 or relay know of each other. */
export interface ClusterConfig {
  /** How often each says that it is there, in ms. After three missed ones the others count it as gone. */
  readonly heartbeatMs: number
}

/** The files of a certificate and of its key, as PEM. */
export interface TlsConfig {
  readonly cert: string
  readonly key: string
}

export interface ServerConfig {
  /** undefined: 9400, or the next free one. 0: any free one. */
  readonly port: number | undefined
  /** A loopback address, unless it must be known who asks. */
  readonly host: string
  /** Names by which it is reached, beside those of this machine; with a port, or for any. */
  readonly hosts: readonly string[]
  /** Origins whose pages may ask. */
  readonly origins: readonly string[]
  /** undefined: HTTP. */
  readonly tls: TlsConfig | undefined
  /** Where clients reach the proxy that stands before it, e.g. `http://127.0.0.1:8080`; undefined: there is none. */
  readonly address: string | undefined
  /** Between comments on a quiet stream, in ms. */
  readonly heartbeatMs: number
  /** Streams open at once: in all, and from one address. */
  readonly streamsMax: number
  readonly streamsPerAddressMax: number
  /** Bytes that wait for one slow client before it gets the newest state only. */
  readonly streamBufferMaxBytes: number
  /** How long a client may take nothing before its stream is closed, in ms. */
  readonly stuckMaxMs: number
  /** How long a request may take to arrive, in ms. */
  readonly receiveMaxMs: number
  /** How long a stop waits for requests in flight, in ms. */
  readonly drainMaxMs: number
}

/** One declared resource. */
export interface ResourceConfig {
  readonly name: string
  /** The SQL with `$1`… for its parameters. */
  readonly text: string
  /** The parameter behind `$1`, `$2`…, in this order. */
  readonly order: readonly string[]
  readonly params: readonly ParameterConfig[]
  readonly ttl: Duration | undefined
  readonly grace: Duration | undefined
  /** The answer is one object or null, not an array. */
  readonly one: boolean
  /** Where a place in `text` (UTF-16 offset) stands in the file. */
  locate(offset?: number): { readonly line: number; readonly column: number }
}

export interface ParameterConfig {
  readonly name: string
  readonly type: ParameterTypeName
  /** Used where the request does not name the parameter; null is SQL's NULL. undefined: the parameter is required. */
  readonly fallback: string | null | undefined
  readonly line: number
  readonly column: number
}
