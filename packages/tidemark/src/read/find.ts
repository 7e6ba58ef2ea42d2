import type { Found } from '../cache.js'
import type { Core } from '../core.js'
import { keysOf } from '../follow/apply.js'
import type { Policy } from '../options.js'
import { setByHand } from '../set.js'
import type { Session } from '../source.js'
import { wallTimesOf } from '../wall-times.js'
import { currentFill } from './current.js'
import { keepShared } from './keep.js'
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

function inMemory(core: Core, { tenant, session, key: text }: Sought, from: Found['from']): Found | undefined {
  const { l1, follower, reads } = core
  const own = session && sessionText(session)
  for (const [space, key] of keysOf(core.spaces, tenant, text)) {
    if ((own ?? '') !== sessionText(space.session)) continue
    const slot = reads.fresh(space, key)
    if (slot < 0) continue
    const reader = currentFill()
    const expiresAt = l1.expiresAtOf(slot)
    reader?.inherit({ tenant, key: text, dependencies: l1.dependenciesOf(slot), expiresAt, unkept: undefined })
    return {
      key: text,
      value: l1.read(slot),
      from,
      asOf: follower.position,
      position: follower.positionAt(l1.lsnOf(slot)),
      ...wallTimesOf(core, slot),
    }
  }
  return undefined
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
    const asked = await shared.find(space, sought.key, setByHand)
    // Nobody loads what was set: whoever is told to may let others go on.
    if (asked.kind === 'load') asked.lease?.end()
    if (asked.kind !== 'shared') return undefined
    const entry = asked.shared
    const now = clock.now()
    if (!core.isTrusted(now) || now - entry.filledAt >= entry.lifetimeMs) return undefined
    core.counters.l2Hits++
    keepShared(core, space, sought.key, sought.policy, entry)
    return inMemory(core, sought, 'l2')
  } finally {
    space.asking--
  }
}
