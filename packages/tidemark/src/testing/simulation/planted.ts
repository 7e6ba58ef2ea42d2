import { restartRules } from '../../core.js'
import type { Dependency } from '../../dependencies/dependency.js'
import { rules as matching } from '../../dependencies/match.js'
import { compareKeys } from '../../dependencies/order.js'
import { reachOfKey } from '../../dependencies/pattern.js'
import { rules, sinceRules } from '../../fence/fence.js'
import { currencyRules } from '../../follow/currency.js'
import { proofRules } from '../../follow/proof.js'
import { trimRules } from '../../follow/rules.js'
import { sweepRules } from '../../follow/sweeps.js'
import { versionRules } from '../../l2/fingerprint.js'
import { beliefRules, epochRules } from '../../l2/shared-tier.js'
import { nesting } from '../../read/fill.js'
import { shownRules } from '../../read/shown.js'
import { relayRules } from '../../relay/rules.js'
import type { Fill } from '../../tiers/fill.js'
import { L1 } from '../../tiers/l1.js'
import { Sieve } from '../../tiers/sieve.js'
import type { SlotKey, Space } from '../../tiers/space.js'
import { stampRules } from '../../tiers/stamps.js'
import { l2Rules } from '../memory-l2.js'
import { resumeRules } from './sim-log.js'
import { markRules } from './sim-marks.js'

/** A rule of the design left out, to see that the simulation would notice. */
export interface Planted {
  readonly rule: string
  /** What is wrong while it is planted. */
  readonly bug: string
  /** Plants the bug in this process. @returns how to take it out */
  plant(): () => void
}

/** One for each rule, and for each part of a rule that can be left out by itself. */
export const PLANTED: readonly Planted[] = [
  leftOut('Fence', 'changes that came while the loader ran do not count', rules, 'missedByFence', () => false),
  leftOut('Proof', 'changes that were applied but not yet visible do not count', rules, 'missedByProof', () => false),
  leftOut('Reader', 'who asks after a change joins a load from before it', rules, 'readerMayHave', () => true),
  leftOut('Start', 'what lies before the start is taken for visible', proofRules, 'isStartCovered', () => true),
  leftOut(
    'Trim',
    'changes leave the ring while fills need them',
    trimRules,
    'oldestNeeded',
    () => Number.POSITIVE_INFINITY,
  ),
  leftOut('Trim, by the limit', 'what had to leave is not missed', trimRules, 'isStillNeeded', () => false),
  leftOut(
    'Trim, unproven',
    'of an unproven change that had to leave nothing stays',
    proofRules,
    'remembersForgotten',
    () => false,
  ),
  leftOut('Currency', 'hearing of the source is taken for having read its log', currencyRules, 'isReached', () => true),
  leftOut('Resume', 'a log that says it resumes has left a commit out', resumeRules, 'skipped', (waiting: number) =>
    Math.min(1, waiting),
  ),
  leftOut(
    'Restart',
    'a server that was restarted is believed to have lost nothing',
    restartRules,
    'isBelieved',
    () => true,
  ),
  leftOut('Restart, place', 'nobody looks whether the history has the mark', markRules, 'isInPlace', () => true),
  leftOut('Restart, time', 'a mark stands for when it came', markRules, 'keepsBefore', (_, deliveredAt) => deliveredAt),
  leftOut('Nested dependencies', 'an outer entry takes over nothing', nesting, 'dependencies', () => undefined),
  leftOut('Nested state', 'what was computed from something stale is fresh', nesting, 'state', () => undefined),
  leftOut('Nested grace', 'grace serves what was computed from something dropped', rules, 'graceMayHave', () => true),
  leftOut(
    'Range bounds',
    'a bound that is included is taken for one that is not, and the other way round',
    matching,
    'isAfter',
    (order, key, bound, isIncluded) => {
      const side = compareKeys(order, key, bound)
      return side > 0 || (side === 0 && !isIncluded)
    },
  ),
  leftOut(
    'Columns read',
    'a row that comes into a condition is left alone, as no column that is read changed',
    matching,
    'isAlike',
    () => true,
  ),
  leftOut(
    'Relay, predecessor',
    'a record is applied though it begins behind the place of who reads it',
    relayRules,
    'isGap',
    () => false,
  ),
  leftOut(
    'Relay, resume',
    'who was cut off goes on behind what was relayed meanwhile',
    relayRules,
    'resumesAt',
    (position, since) => since.at(-1)?.to ?? position,
  ),
  leftOut('Session', 'a session carries as of when its answers hold', shownRules, 'upTo', (_, asOf) => asOf),
  leftOut('Relay, start', 'a follower begins at the end of what is relayed', relayRules, 'startsAt', (_, end) => end),
  leftOut(
    'Relay, proven',
    'a leader tells what it has read for proven',
    relayRules,
    'provenUpTo',
    (_, position) => position,
  ),
  leftOut('L2, belief', 'what L2 has is believed without a look into the ring', beliefRules, 'isBelieved', () => true),
  leftOut('L2, prev', 'a batch is applied though L2 lacks what lies before it', l2Rules, 'isGap', () => false),
  leftOut('L2, since', 'an entry is believed from before its shape was stamped', l2Rules, 'isBefore', () => false),
  leftOut('L2, newer', 'what was computed before takes the place of what is there', l2Rules, 'isOlder', () => false),
  leftOut('L2, epoch', 'L2 is believed of another history', epochRules, 'name', () => ''),
  leftOut('L2, patterns', 'patterns that L2 keeps for its readers mean nothing', beliefRules, 'isMeant', () => false),
  leftOut(
    'L2, fingerprint',
    'what another version of the program computed is taken',
    versionRules,
    'fingerprint',
    () => '',
  ),
  leftOut('L2, shapes', 'marks are applied that were made for other shapes', l2Rules, 'hasShapes', () => true),
  leftOut('L2, stamps', 'an update is marked under its old values only', stampRules, 'isMarkedNow', () => false),
  leftOut(
    'Patterns in flight',
    'a pattern touches what is stored, and no fill that runs',
    matching,
    'reachOfKey',
    (target, tenant, key) => (target.kind === 'key' ? reachOfKey(target, tenant, key) : 'none'),
  ),
  leftOut('Sweeps', 'a read finds what a sweep has not yet come to', sweepRules, 'isJudgedWhenRead', () => false),
  leftOut(
    'Set',
    'of a value that was read since a position, hidden changes do not count',
    sinceRules,
    'isHidden',
    () => false,
  ),
  {
    rule: 'Nested eviction',
    bug: 'what an outer entry took over leaves with the inner one',
    plant: plantEviction,
  },
]

function leftOut<Rules extends object, Name extends keyof Rules>(
  rule: string,
  bug: string,
  rulesOf: Rules,
  name: Name,
  without: Rules[Name],
): Planted {
  return {
    rule,
    bug,
    plant() {
      const right = rulesOf[name]
      rulesOf[name] = without
      return () => {
        rulesOf[name] = right
      }
    },
  }
}

interface Stored {
  readonly space: Space
  readonly key: SlotKey
  readonly value: unknown
  readonly fill: Fill
}

/** When an entry is evicted, those that were computed from it lose the dependencies that they share with it. */
function plantEviction(): () => void {
  const { store, remove } = L1.prototype
  const { victim } = Sieve.prototype
  const stored = new WeakMap<L1, Map<number, Stored>>()
  let evicted = -1
  Sieve.prototype.victim = function (this: Sieve) {
    evicted = victim.call(this)
    return evicted
  }
  L1.prototype.store = function (this: L1, space, key, value, fill) {
    const slot = store.call(this, space, key, value, fill)
    if (slot >= 0) entriesOf(stored, this).set(slot, { space, key, value, fill })
    return slot
  }
  L1.prototype.remove = function (this: L1, slot) {
    const entries = entriesOf(stored, this)
    const gone = entries.get(slot)
    entries.delete(slot)
    remove.call(this, slot)
    if (slot !== evicted || !gone) return
    evicted = -1
    for (const { space, key, value, fill } of entries.values()) {
      if (fill.dependencies.some((dependency) => isKeyOf(dependency, gone)))
        store.call(this, space, key, value, { ...fill, dependencies: without(fill.dependencies, gone) })
    }
  }
  return () => {
    Object.assign(L1.prototype, { store, remove })
    Sieve.prototype.victim = victim
  }
}

function entriesOf(stored: WeakMap<L1, Map<number, Stored>>, l1: L1): Map<number, Stored> {
  let entries = stored.get(l1)
  if (!entries) {
    entries = new Map()
    stored.set(l1, entries)
  }
  return entries
}

function isKeyOf(dependency: Dependency, { space, key }: Stored): boolean {
  return dependency.kind === 'key' && dependency.tenant === space.tenant && dependency.key === space.text(key)
}

function without(dependencies: readonly Dependency[], gone: Stored): readonly Dependency[] {
  const shared = new Set(gone.fill.dependencies.map((dependency) => JSON.stringify(dependency)))
  return dependencies.filter((dependency) => !shared.has(JSON.stringify(dependency)))
}
