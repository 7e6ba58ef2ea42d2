import type { Found } from '../cache.js'
import type { Core } from '../core.js'
import { splitKey } from '../keys.js'
import type { Policy } from '../options.js'
import { setByHand } from '../set.js'
import type { Session } from '../source.js'
import type { SlotKey } from '../tiers/space.js'
import { wallTimesOf } from '../wall-times.js'
import { currentFill } from './current.js'
import { Inherited } from './fill.js'
import { keepShared } from './keep.js'
import type { Keyspace } from './keyspace.js'
import { sessionText } from './keyspaces.js'

interface Sought {
  readonly tenant: string
  readonly session: Session | undefined
  readonly key: string
  readonly policy: Policy
}

/** What is kept under a key's text form, without loading anything. */
export async function find(core: Core, sought: Sought): Promise<Found | undefined> {
  const { counters } = core
  const found = inMemory(core, sought, 'l1') ?? (await inL2(core, sought))
  if (found) counters.hits++
  else counters.misses++
  return found
}

/** The same, at once, of what this process has in memory; what is not there counts as no miss. */
export function look(core: Core, sought: Sought): Found | undefined {
  const found = inMemory(core, sought, 'l1')
  if (found) core.counters.hits++
  // No change would tell the outer entry when this finds something.
  else currentFill()?.unkept('peeked')
  return found
}

function inMemory(core: Core, { tenant, session, key }: Sought, from: Found['from']): Found | undefined {
  const { spaces } = core
  const own = session ? sessionText(session) : ''
  const plain = spaces.at(tenant, undefined, own)
  const found = plain && inSpace(core, plain, key, key, from)
  const parts = found ? undefined : splitKey(key)
  if (!parts) return found
  const space = spaces.at(tenant, parts.name, own)
  return space && inSpace(core, space, parts.key, key, from)
}

function inSpace(core: Core, space: Keyspace, key: SlotKey, text: string, from: Found['from']): Found | undefined {
  const { l1, follower, reads } = core
  const slot = reads.fresh(space, key)
  if (slot < 0) return undefined
  const reader = currentFill()
  if (reader) {
    const [dependencies, expiresAt] = [l1.index.handedOf(slot), l1.expiresAtOf(slot)]
    reader.inherit(new Inherited(space.tenant, text, dependencies, true, expiresAt, undefined))
  }
  const { filledAt, expiresAt } = wallTimesOf(core, slot)
  const position = follower.positionAt(l1.lsnOf(slot))
  return { key: text, value: l1.read(slot), from, asOf: follower.position, position, filledAt, expiresAt }
}

/** What another process has set. */
async function inL2(core: Core, sought: Sought): Promise<Found | undefined> {
  const { shared, spaces, clock } = core
  // No change would tell the outer entry when this finds something.
  currentFill()?.unkept('peeked')
  if (!shared) return undefined
  const space = spaces.get(sought.tenant, undefined, sought.session)
  space.asking++
  try {
    const asked = await shared.find(shared.nameOf(space, sought.key, setByHand), space, sought.key)
    // Nobody loads what was set: whoever is told to may let others go on.
    if (asked.kind === 'load') asked.lease?.end()
    if (asked.kind !== 'shared') return undefined
    const entry = asked.shared
    const now = clock.now()
    if (!core.isTrusted(now) || now - entry.filledAt >= entry.lifetimeMs) return undefined
    if (entry.judgedAt !== core.follower.tidemark) return undefined
    core.counters.l2Hits++
    keepShared(core, space, sought.key, sought.policy, entry)
    return inMemory(core, sought, 'l2')
  } finally {
    space.asking--
  }
}
