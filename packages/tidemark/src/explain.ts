import type { Explanation } from './cache.js'
import type { Core } from './core.js'
import { keysOf } from './follow/apply.js'
import type { Keyspace } from './read/keyspace.js'
import { sessionText } from './read/keyspaces.js'
import type { NotKept, Session } from './source.js'
import type { SlotKey } from './tiers/space.js'
import { wallTimesOf } from './wall-times.js'

/** What to do about answers that are not kept, in one sentence each. */
const ADVICE: Record<NotKept, string> = {
  starting: 'the log was just taken up, and what lies before that place cannot all be seen yet; wait a moment',
  'not-following': 'the log is not being followed now; see status().log',
  'not-current': 'this process could not prove within maxSilence that it has read all of the log; see status()',
  overtaken: 'a change touched what it read while it was loaded; the next read fills it',
  unproven:
    'it depends on a change that new snapshots of the source do not show yet; the next read after that fills it',
  forgotten: 'the ring no longer held the changes to compare with; raise ringMax, or shorten the loader',
  'no-dependency': 'its loader read nothing that could be seen, and it declares neither tags, ttl nor static: true',
  nested: 'it was computed from an answer that is not kept itself; explain that one',
  peeked: 'a peek in its loader found nothing, and no change would tell when it does; await the read instead',
  'unfollowed-table': 'a table that it read sends no changes, or not yet; see `tidemark doctor`',
  'row-security': 'a table that it read has row security; declare the session with cache.as()',
  session: 'its SQL reads settings or the user; declare the session with cache.as()',
  time: 'its SQL depends on time or chance; give it a ttl',
  function: 'its SQL calls a function whose reads cannot be known; read the tables in the SQL itself',
  writes: 'its SQL writes; write outside of loaders',
  'not-understood':
    'its SQL could not be analysed, so the tables that it reads are not known; simplify it, or run it on a client that is not wrapped, and declare tags or a ttl',
  'dirty-connection': 'it ran on a connection whose settings were changed and not reset',
  'open-transaction': 'it ran inside a transaction that was open before the fill began',
  elsewhere:
    'it read a database that is not the followed one; use a client that is not wrapped, and declare tags, ttl or sourceLag',
  replica: 'it read a replica whose lag could not be compared with the log',
  'self-check':
    'it really read a table that its SQL was not found to depend on; from now on it depends on whole tables, see the notice',
  'too-large': "it is larger than l1.maxBytes, or its tenant's quota, allows, or what must stay leaves no room",
}

export function explain(core: Core, tenant: string, session: Session | undefined, text: string): Explanation {
  const candidates = [...keysOf(core.spaces, tenant, text)].filter(
    ([space]) => sessionText(space.session) === sessionText(session),
  )
  const stored = candidates.find(([space, key]) => core.l1.find(space, key) !== undefined)
  const refused = candidates.map(([space, key]) => core.refusals.of(space, key)).find((reason) => reason !== undefined)
  if (!stored) {
    const sentence = refused
      ? `Not kept: ${ADVICE[refused]}.`
      : 'Nothing is stored under this key: it was never read, or it was dropped, evicted or not kept.'
    return {
      key: text,
      tenant,
      stored: false,
      state: 'absent',
      asOf: undefined,
      filledAt: undefined,
      expiresAt: undefined,
      dependencies: [],
      notKept: refused,
      text: sentence,
    }
  }
  return describe(core, tenant, text, ...stored)
}

function describe(core: Core, tenant: string, text: string, space: Keyspace, key: SlotKey): Explanation {
  const { l1, clock, follower } = core
  const slot = space.slots.get(key)!
  const now = clock.now()
  const { filledAt, expiresAt } = wallTimesOf(core, slot)
  const isFresh = l1.isFreshAt(slot, now)
  const isTrusted = core.isTrusted(now)
  const state = !isFresh ? 'expired' : isTrusted ? 'fresh' : 'untrusted'
  const dependencies = l1.dependenciesOf(slot)
  const until =
    expiresAt === undefined
      ? 'until a change touches it'
      : `until ${new Date(expiresAt).toISOString()}, or a change touches it`
  const sentence = {
    fresh: `Kept, with ${dependencies.length} ${dependencies.length === 1 ? 'dependency' : 'dependencies'}, ${until}.`,
    expired: 'Kept, but expired: served only by grace while it is refilled or the source fails.',
    untrusted:
      'Kept, but not served as fresh: this process could not prove within maxSilence that it has read all of the log.',
  }[state]
  return {
    key: text,
    tenant,
    stored: true,
    state,
    asOf: follower.positionAt(l1.lsnOf(slot)),
    filledAt,
    expiresAt,
    dependencies,
    notKept: undefined,
    text: sentence,
  }
}
