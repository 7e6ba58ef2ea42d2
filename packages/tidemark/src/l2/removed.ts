import { argumentsOf } from '../arguments.js'
import type { Core } from '../core.js'
import type { Definitions } from '../definitions.js'
import { keysOf } from '../follow/apply.js'
import { splitKey } from '../keys.js'
import { parsePosition } from '../log/position.js'
import { Keyspace } from '../read/keyspace.js'
import { setByHand } from '../set.js'
import type { SlotKey } from '../tiers/space.js'
import type { SharedTier } from './shared-tier.js'

/**
 * Takes out of L2 the entries of keys that a change has dropped, and says how many there were; undefined where that can't be known. Nobody
 * waits for it: what is stale there is not read.
 */
export async function removeFromL2(
  core: Core,
  definitions: Definitions,
  tenant: string,
  keys: readonly string[],
  position: string,
): Promise<number | undefined> {
  const { shared, follower } = core
  const { epoch, lsn } = parsePosition(position)
  if (!shared || (epoch !== undefined && epoch !== follower.epoch)) return undefined
  const names = new Set<string>()
  for (const key of keys) {
    const own = namesOf(core, shared, definitions, tenant, key)
    if (!own) return undefined
    for (const name of own) names.add(name)
  }
  return shared.remove([...names], lsn)
}

/** What the entries of a key are called in L2: without a session, and in those that this process knows. */
function namesOf(
  { spaces }: Core,
  shared: SharedTier,
  definitions: Definitions,
  tenant: string,
  text: string,
): string[] | undefined {
  const places: [Keyspace, SlotKey][] = [[new Keyspace(tenant, undefined, undefined), text]]
  const own = splitKey(text)
  if (own) places.push([new Keyspace(tenant, own.name, undefined), own.key])
  places.push(...keysOf(spaces, tenant, text))
  const names = [shared.nameOf(places[0]![0], text, setByHand)]
  for (const [space, key] of places) {
    if (space.name !== undefined) {
      const request = definitions.request(space, key, argumentsOf(key) ?? [])
      if (request) names.push(shared.nameOf(space, key, request.load, request.policy.version))
      continue
    }
    const plain = shared.plainNamesOf(space, key)
    if (!plain) return undefined
    names.push(...plain)
  }
  return names
}
