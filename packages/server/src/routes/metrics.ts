import type { FastifyInstance } from 'fastify'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Cache, Counters, TenantUse } from 'tidemark'
import { z } from 'zod'
import type { RateLimits } from '../access/limits.js'
import type { Cluster } from '../cluster/cluster.js'
import type { Answered } from './hits.js'
import { problemResponse } from './schemas.js'
import { isStream, type Live } from './streams.js'

/** A reason that is not one of a fixed few is counted as this once there are so many. */
const LABELS_MAX = 50

/** What is counted. */
export interface Counting {
  readonly cache: Cache
  readonly cluster: Cluster
  readonly live: Live
  /** Where there are limits. */
  readonly refused: RateLimits['refused'] | undefined
}

/** The tenants that have most: so many of them are named. */
const TENANTS_MAX = 50

export function largestTenants(cache: Cache): readonly TenantUse[] {
  return [...cache.uses()].sort((a, b) => b.entries - a.entries).slice(0, TENANTS_MAX)
}

/** `GET /metrics`: what the cache, the log and the streams have done, for Prometheus. Read when it is asked for. */
export function metricsRoute(app: FastifyInstance, { cache, cluster, live, refused }: Counting): Answered {
  const registry = new Registry()
  cacheCounters(registry, cache)
  cacheGauges(registry, cache)
  slotGauges(registry, cache)
  relayGauges(registry, cache)
  gauge(
    registry,
    'tidemark_cluster_processes',
    'Processes that share L2 or relay, as far as this one knows; itself included',
    () => cluster.processes().length,
  )
  tenantGauges(registry, cache)
  streamMetrics(registry, live)
  refusals(registry, refused)
  const answered = requestMetrics(registry, app)
  app.get(
    '/metrics',
    {
      config: { action: 'observe' },
      schema: {
        summary: 'Metrics for Prometheus',
        tags: ['operation'],
        response: {
          200: { description: 'In the text format 0.0.4', content: { 'text/plain': { schema: z.string() } } },
          default: problemResponse,
        },
      },
    },
    async (_, reply) => reply.header('content-type', registry.contentType).send(await registry.metrics()),
  )
  return answered
}

const PLAIN: readonly (readonly [name: string, counter: keyof Counters, help: string])[] = [
  ['hits', 'hits', "Reads answered from this process's memory"],
  ['misses', 'misses', 'Reads that found nothing to serve in memory'],
  ['l2_hits', 'l2Hits', 'Misses that the shared tier answered'],
  ['l2_misses', 'l2Misses', 'Misses for which the shared tier had nothing'],
  [
    'l2_disbelieved',
    'l2Disbelieved',
    'Answers of the shared tier that a change contradicted, or that could not be judged',
  ],
  ['l2_errors', 'l2Errors', 'Calls to the shared tier that failed'],
  ['l2_stored', 'l2Stored', 'Entries that the shared tier took'],
  ['l2_refused', 'l2Refused', 'Entries that the shared tier refused'],
  ['stale_answers', 'stale', 'Reads answered by grace with what had expired'],
  ['fenced_answers', 'fenced', 'Reads answered with a value of which it is not known whether it shows all of the log'],
  ['joined_reads', 'joined', "Reads that joined another read's loader run"],
  ['loads', 'loads', 'Runs of loaders'],
  ['load_errors', 'loadErrors', 'Runs of loaders that failed'],
  ['kept', 'kept', 'Runs of loaders whose result was kept'],
  ['commits', 'commits', 'Commits of the source applied'],
  ['changes', 'changes', 'Changes applied'],
  ['invalidated', 'invalidated', 'Entries made stale by changes'],
  ['evicted', 'evicted', 'Entries evicted for room'],
  ['evicted_for_quota', 'evictedForQuota', 'Entries evicted as their tenant had as much as its quota'],
  ['emptied', 'emptied', 'Entries lost to a gap in the log'],
  ['self_checks', 'selfChecks', 'Queries whose analysis was compared with what they really read'],
  ['self_check_mismatches', 'selfCheckMismatches', 'Queries that really read more than their analysis said'],
  ['log_resumes', 'resumes', 'Times that the log was lost and went on without a gap'],
  ['log_gaps', 'gaps', 'Times that the log was lost and taken up anew'],
  [
    'coarse_changes',
    'coarseOldValues',
    'Changes that touched more than they name, because the log does not have old values',
  ],
  [
    'unchanged_dependencies',
    'unchanged',
    'Dependencies, each of one entry or more, that updates left alone because they changed no column that is read',
  ],
  ['alone_entries', 'alone', 'Entries that changes left alone because the row has no join partner there, or a twin'],
  [
    'doubted_entries',
    'doubted',
    'Entries that changes touched, and that were loaded again at once, as they may be the same',
  ],
  ['stayed_entries', 'stayed', 'Of these, entries that were the same, and stayed'],
]

/** The cache counts for itself; each scrape copies what it counted. */
function cacheCounters(registry: Registry, cache: Cache): void {
  for (const [name, counter, help] of PLAIN) {
    copied(registry, `tidemark_${name}_total`, help, () => [[cache.counters[counter] as number, {}]])
  }
  copied(registry, 'tidemark_not_kept_total', 'Runs of loaders whose result was not kept, by reason', () =>
    byReason(cache.counters.notKept),
  )
  copied(registry, 'tidemark_coarse_dependencies_total', 'Dependencies wider than their query, by reason', () =>
    byReason(cache.counters.coarse),
  )
}

function byReason(counts: Readonly<Record<string, number>>): [number, { reason: string }][] {
  const entries = Object.entries(counts)
  const rest = entries.slice(LABELS_MAX).reduce((sum, [, count]) => sum + count, 0)
  const known = entries.slice(0, LABELS_MAX).map(([reason, count]): [number, { reason: string }] => [count, { reason }])
  return rest > 0 ? [...known, [rest, { reason: 'other' }]] : known
}

function copied(
  registry: Registry,
  name: string,
  help: string,
  read: () => readonly (readonly [number, { reason?: string }])[],
): void {
  new Counter({
    name,
    help,
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [count, labels] of read()) this.inc(labels, count)
    },
  })
}

function cacheGauges(registry: Registry, cache: Cache): void {
  gauge(registry, 'tidemark_entries', 'Entries in memory', () => cache.status().entries)
  gauge(registry, 'tidemark_entries_bytes', 'Approximate size of keys and values in memory', () => cache.status().bytes)
  gauge(registry, 'tidemark_watched_entries', 'Entries that are watched', () => cache.status().watched)
  gauge(
    registry,
    'tidemark_sweeps_running',
    'Patterns, tenants and everything that hold, but whose entries are not all out of memory yet',
    () => cache.status().sweeping,
  )
  gauge(registry, 'tidemark_fills_running', 'Fills that run now', () => cache.status().filling)
  gauge(registry, 'tidemark_ring_changes', 'Recent changes kept for fills that run', () => cache.status().ring)
  gauge(
    registry,
    'tidemark_unproven_changes',
    'Changes applied that new snapshots do not show yet',
    () => cache.status().unproven,
  )
  gauge(
    registry,
    'tidemark_silence_seconds',
    'How long ago this process was last known to be current',
    () => cache.status().silenceMs / 1_000,
  )
  gauge(registry, 'tidemark_log_following', '1 while the log is followed', () =>
    Number(cache.status().log.state === 'following'),
  )
  gauge(registry, 'tidemark_keeping', '1 while fills are kept', () => Number(cache.status().keeping))
}

/** Only where tenants have limits. */
function tenantGauges(registry: Registry, cache: Cache): void {
  const uses = [
    [
      'tidemark_tenant_entries',
      'Entries of a tenant in memory; of those that have most',
      (use: TenantUse) => use.entries,
    ],
    [
      'tidemark_tenant_bytes',
      'Approximate size of keys and values of a tenant in memory',
      (use: TenantUse) => use.bytes,
    ],
    ['tidemark_tenant_entries_max', 'Entries that a tenant may have', ({ quota }: TenantUse) => quota.entries],
    ['tidemark_tenant_bytes_max', 'Bytes that a tenant may have', ({ quota }: TenantUse) => quota.bytes],
  ] as const
  for (const [name, help, read] of uses)
    new Gauge({
      name,
      help,
      labelNames: ['tenant'],
      registers: [registry],
      collect() {
        this.reset()
        for (const use of largestTenants(cache)) this.set({ tenant: use.tenant }, read(use))
      },
    })
}

function refusals(registry: Registry, refused: Counting['refused']): void {
  if (!refused) return
  new Counter({
    name: 'tidemark_rate_limited_total',
    help: 'Requests that were refused, by what was too much',
    labelNames: ['limit'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [limit, count] of Object.entries(refused)) this.inc({ limit }, count)
    },
  })
}

/** Only where processes share a slot. */
function slotGauges(registry: Registry, cache: Cache): void {
  if (!cache.status().log.slot) return
  gauge(registry, 'tidemark_slot_held', '1 while this process follows through the shared slot', () =>
    Number(cache.status().log.slot?.isHeld ?? false),
  )
  gauge(registry, 'tidemark_slot_usable', '1 while the shared slot is there and keeps all that it needs', () =>
    Number(['reserved', 'extended'].includes(cache.status().log.slot?.state ?? '')),
  )
  gauge(
    registry,
    'tidemark_slot_wal_bytes',
    'WAL that the server keeps for the shared slot',
    () => cache.status().log.slot?.heldBytes ?? 0,
  )
}

const ROLES = ['leader', 'standby', 'follower'] as const

/** Nothing is said of roles where each process reads the log by itself. */
function relayGauges(registry: Registry, cache: Cache): void {
  new Gauge({
    name: 'tidemark_role',
    help: 'Which part this process has in relaying the log: 1 for its role, 0 for the others',
    labelNames: ['role'],
    registers: [registry],
    collect() {
      const { role } = cache.status().log
      if (!role) return this.reset()
      for (const each of ROLES) this.set({ role: each }, Number(each === role))
    },
  })
  gauge(registry, 'tidemark_relay_failing', '1 while this process leads and the others are told nothing', () =>
    Number((cache.status().log.relayProblem ?? '') !== ''),
  )
}

function streamMetrics(registry: Registry, { quota, connections, hubs, activity, sockets }: Live): void {
  gauge(registry, 'tidemark_streams', 'Streams that are open', () => connections.size)
  gauge(registry, 'tidemark_sockets', 'Sockets (Socket.IO) that are open', () => sockets?.size ?? 0)
  gauge(registry, 'tidemark_socket_subscriptions', 'What sockets follow', () => sockets?.subscriptions ?? 0)
  gauge(registry, 'tidemark_streamed_entries', 'Entries that are streamed to at least one client', () => hubs.size)
  gauge(registry, 'tidemark_activity_clients', 'Clients that follow what the cache does', () => activity.size)
  copied(registry, 'tidemark_streams_refused_total', 'Streams and sockets refused because of a limit', () => [
    [quota.refused, {}],
  ])
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read())
    },
  })
}

/** By route, not by path: the labels are as many as the routes. */
function requestMetrics(registry: Registry, app: FastifyInstance): Answered {
  const durations = new Histogram({
    name: 'tidemark_http_request_duration_seconds',
    help: 'Time to answer requests, streams excepted',
    labelNames: ['route', 'status'],
    buckets: [0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5],
    registers: [registry],
  })
  const answered: Answered = (route, status, seconds) =>
    durations.observe({ route, status: `${Math.floor(status / 100)}xx` }, seconds)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    if (!isStream(route)) answered(route, reply.statusCode, reply.elapsedTime / 1_000)
  })
  return answered
}
