import { postgresMembers } from '@tidemark/postgres'
import { type Calls, redisCalls, redisMembers } from '@tidemark/redis'
import type { Cache } from 'tidemark'
import type { Config } from '../config/config.js'
import { Cluster, type ClusterOptions, type MemberState } from './cluster.js'
import { termsOf } from './terms.js'

/**
 * Joins the processes that share L2 or relay with this one.
 *
 * @throws DisagreementError (`TIDEMARK_DISAGREEMENT`)
 */
export function joinCluster(config: Config, version: string): Promise<Cluster> {
  return Cluster.join({
    places: placesOf(config),
    terms: termsOf(config),
    version,
    everyMs: config.cluster.heartbeatMs,
  })
}

/** Processes that share nothing in Redis find each other in the database that they follow: those with one publication are of one application. */
export function meetInDatabase(cluster: Cluster, { source, l2, relay }: Config, url: string): void {
  if (l2.redis !== undefined || relay.redis !== undefined || source.follow === 'off') return
  const members = postgresMembers({ url: source.directUrl ?? url, application: source.publication ?? 'tidemark' })
  cluster.meet({ name: 'database', members })
}

/** Processes find each other in whatever they share, so that those which share one thing by mistake do too. */
function placesOf({ l2, relay }: Config): ClusterOptions['places'] {
  const places: ClusterOptions['places'][number][] = []
  // In braces, as the keys of L2 are: a user of Redis's access lists has rights on all that begin so.
  if (l2.redis !== undefined)
    places.push({ name: 'l2', members: redisMembers({ url: l2.redis, key: `{${l2.name ?? 'tidemark'}:members}` }) })
  if (relay.redis !== undefined)
    places.push({
      name: 'relay',
      members: redisMembers({ url: relay.redis, key: `${relay.stream ?? 'tidemark:relay'}:members` }),
    })
  return places
}

/** How processes that share something reach each other at once: in what all of them are listed in. */
export function callsOf({ l2, relay }: Config): Calls | undefined {
  if (relay.redis !== undefined)
    return redisCalls({ url: relay.redis, channel: `${relay.stream ?? 'tidemark:relay'}:calls` })
  if (l2.redis !== undefined) return redisCalls({ url: l2.redis, channel: `{${l2.name ?? 'tidemark'}:calls}` })
  return undefined
}

/** What a process says of itself. */
export function stateOf(cache: Cache, address: string | null): MemberState {
  const { log, tidemark, current, keeping, silenceMs } = cache.status()
  return {
    address,
    role: log.role ?? (log.slot?.isHeld ? 'holder' : 'single'),
    log: log.state,
    tidemark: tidemark ?? null,
    current,
    keeping,
    silenceMs: Number.isFinite(silenceMs) ? Math.round(silenceMs) : null,
  }
}
