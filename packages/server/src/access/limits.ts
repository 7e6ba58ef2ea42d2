import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Cache, type Clock, looksAtAllKeys, type Quotas } from 'tidemark'
import type { z } from 'zod'
import type { LimitsConfig } from '../config/config.js'
import { definedOf } from '../defined.js'
import { patternOf, type syntaxSchema } from '../routes/named.js'
import { accessOf } from './access.js'
import { ACTIONS } from './action.js'
import { tenantOfRoute } from './authorise.js'
import { Buckets, type Taking } from './buckets.js'
import { RateError } from './errors.js'

const SECOND_MS = 1_000
/** To hold a key against a pattern costs so little of what it costs to touch it. */
const LOOKS_PER_KEY = 10

/**
 * Limits how much each principal may do in each tenant. A request costs one unit, and one more for every `keysPerUnit` keys that
 * it names or turns out to touch: what it names is refused beforehand, what it touched beyond that is owed. Of a pattern that each of the
 * tenant's keys here must be held against, these cost a tenth of that, beforehand. SQL to be explained costs as many keys as it has characters:
 * it takes 10 to 20 µs of this process to analyse one.
 *
 * Each process counts for itself. Who is not asked who they are is not limited: that is this machine.
 */
export function limitRates(
  app: FastifyInstance,
  config: LimitsConfig,
  cache: Pick<Cache, 'uses'>,
  clock: Clock,
): RateLimits {
  const requests = new Buckets({ units: config.requests, windowMs: config.windowMs, clock })
  const patternsOf = (units: number) => new Buckets({ units, windowMs: SECOND_MS, clock })
  const patterns = patternsOf(config.patternsPerSecond)
  const ownPatterns = new Map<string, Buckets>()
  for (const [tenant, { patternsPerSecond: units }] of config.tenants)
    if (units !== undefined) ownPatterns.set(tenant, patternsOf(units))
  const refused = { requests: 0, patterns: 0 }
  const refuse = (limit: keyof typeof refused, retryInMs: number): never => {
    refused[limit]++
    throw new RateError(limit, retryInMs)
  }
  const policy = `"requests";q=${config.requests};w=${Math.ceil(config.windowMs / 1_000)}`
  const unitsOf = (keys: number) => Math.floor(keys / config.keysPerUnit)

  const take = (request: FastifyRequest, reply: FastifyReply, units: number) => {
    const taking = requests.take(nameOf(request), units)
    reply.headers({ 'ratelimit-policy': policy, ratelimit: stateOf(taking) })
    if (!taking.isTaken) refuse('requests', taking.retryInMs)
  }
  app.addHook('onRequest', async (request, reply) => {
    if (isLimited(request)) take(request, reply, 1)
  })
  // Before each of ten thousand names is checked.
  app.addHook('preValidation', async (request, reply) => {
    const units = isLimited(request) ? unitsOf(keysIn(request.body) + sqlIn(request)) : 0
    if (units > 0) take(request, reply, units)
  })
  app.addHook('preHandler', async (request, reply) => {
    const asked = isLimited(request) ? patternIn(request) : undefined
    if (!asked) return
    const tenant = tenantOfRoute(request)
    const taking = (ownPatterns.get(tenant) ?? patterns).take(tenant)
    if (!taking.isTaken) refuse('patterns', taking.retryInMs)
    if (!isHeldAgainstAll(asked)) return
    const entries = cache.uses().find((use) => use.tenant === tenant)?.entries ?? 0
    const units = unitsOf(entries / LOOKS_PER_KEY)
    if (units > 0) take(request, reply, units)
  })
  app.addHook('preSerialization', async (request, _, payload) => {
    if (isLimited(request)) requests.charge(nameOf(request), unitsOf(touchedBy(payload) - keysIn(request.body)))
    return payload
  })
  const takeOne: TakeOne = (principal, tenant) => {
    const taking = requests.take(pairOf(principal, tenant), 1)
    return taking.isTaken ? ['ratelimit-policy', policy, 'ratelimit', stateOf(taking)] : undefined
  }
  return { takeOne, refused }
}

export interface RateLimits {
  readonly takeOne: TakeOne
  /** How many requests were refused, by what was too much. */
  readonly refused: Readonly<Record<'requests' | 'patterns', number>>
}

/** What tenants may have in memory, as the cache takes it. */
export function quotasOf({ keysPerTenant, bytesPerTenant, tenants }: LimitsConfig): Quotas {
  const quota = (entries: number | undefined, bytes: number | undefined) => definedOf({ entries, bytes })
  return {
    default: quota(keysPerTenant, bytesPerTenant),
    tenants: Object.fromEntries([...tenants].map(([tenant, { keys, bytes }]) => [tenant, quota(keys, bytes)])),
  }
}

/** Takes one unit of a principal's in a tenant: what the answer says of it, as names and values; undefined if there is none. */
export type TakeOne = (principal: string, tenant: string) => readonly string[] | undefined

/** What is open to anybody is cheap, and must answer orchestrators. */
function isLimited(request: FastifyRequest): boolean {
  const action = request.routeOptions.config?.action
  return !request.is404 && !(action !== undefined && ACTIONS[action].reach === 'open')
}

/** A tenant's name holds anything: together with the principal it is one text for each pair, and of no other pair. */
function nameOf(request: FastifyRequest): string {
  return pairOf(accessOf(request).principal, tenantOfRoute(request))
}

function pairOf(principal: string, tenant: string): string {
  return JSON.stringify([principal, tenant])
}

/** The draft of the IETF's HTTPAPI group: `r` units are left, and `t` seconds until all are there again. */
function stateOf({ left, fullInMs }: Taking): string {
  return `"requests";r=${left};t=${Math.ceil(fullInMs / 1_000)}`
}

/** Whatever a body lists: keys, tags, entries. */
function keysIn(body: unknown): number {
  if (typeof body !== 'object' || body === null) return 0
  return Object.values(body).reduce((sum: number, each) => sum + (Array.isArray(each) ? each.length : 0), 0)
}

function sqlIn({ body, query }: FastifyRequest): number {
  const { sql } = (body ?? query ?? {}) as { readonly sql?: unknown }
  return typeof sql === 'string' ? sql.length : 0
}

function touchedBy(payload: unknown): number {
  const count = (payload as { readonly invalidated_count?: unknown } | null)?.invalidated_count
  return typeof count === 'number' ? count : 0
}

interface Asked {
  readonly pattern?: unknown
  readonly syntax?: z.infer<typeof syntaxSchema>
  readonly cache_keys?: unknown
}

/** Where a request has its pattern, which was checked by then. */
function patternIn({ body, query }: FastifyRequest): Asked | undefined {
  return ([body, query] as (Asked | null | undefined)[]).find(
    (part): part is Asked => typeof part === 'object' && part !== null && 'pattern' in part,
  )
}

/** Whether all keys of the tenant have to be looked at; given ones count themselves. */
function isHeldAgainstAll({ pattern, syntax = 'glob', cache_keys: among }: Asked): boolean {
  return typeof pattern === 'string' && among === undefined && looksAtAllKeys(patternOf(pattern, syntax))
}
