import type { Clock } from '../clock.js'
import type { Counters } from '../counters.js'
import type { Observers } from '../events.js'
import { splitKey } from '../keys.js'
import { type Change, type Commit, isNothing, type Mode, type RowChange, type Target } from '../log/change.js'
import type { Keyspace } from '../read/keyspace.js'
import type { Keyspaces } from '../read/keyspaces.js'
import type { L1 } from '../tiers/l1.js'
import { SlotSet } from '../tiers/slot-set.js'
import type { Doubts } from './doubts.js'
import type { Sweeps } from './sweeps.js'
import type { Taken } from './taken.js'
import { NAMED_MAX, Touches } from './touches.js'

export interface ApplyContext {
  readonly l1: L1
  readonly spaces: Keyspaces
  readonly sweeps: Sweeps
  readonly doubts: Doubts
  readonly counters: Counters
  readonly observers: Observers
  readonly taken: Taken
  readonly clock: Clock
  positionAt(lsn: number): string
}

/**
 * Makes stale what a commit touches: drops or expires entries, and wakes who watches them. Cost: the entries touched, the first thousand of
 * them at once; of the others, and of patterns, tenants and everything, the first slice of their sweeps, and no read finds the rest.
 */
export function apply(context: ApplyContext, commit: Commit): void {
  const { l1, sweeps, counters, observers, clock, doubts } = context
  const before = l1.size
  const touches = { drop: new Touches(context, commit.lsn), expire: new Touches(context, commit.lsn) }
  const all = [touches.drop, touches.expire]
  const beyond: { drop?: SlotSet; expire?: SlotSet } = {}
  /** What may stay, by all that touched it. A later change of the commit may be one that leaves no doubt. */
  const doubted = new Map<number, RowChange[]>()
  const take = (slot: number, own: Mode): void => {
    if (touches[own].count < sweeps.touchedMax) touches[own].touch(slot, own, clock.now())
    else {
      beyond[own] ??= new SlotSet()
      beyond[own].add(slot)
    }
  }
  let mode: Mode = 'drop'
  for (const change of commit.changes) {
    counters.changes++
    if (change.kind === 'target') mode = change.mode
    const own = change.kind === 'target' ? change.mode : 'drop'
    // What expires stays, so its next dependency finds it again.
    const expired = own === 'expire' ? new SlotSet() : undefined
    const touch = (slot: number): void => {
      // An earlier change has taken it, though the sweep has not come to it.
      if (beyond.drop?.has(slot) || sweeps.isGathered(slot, own)) return
      if (change.kind === 'row' && doubts.isInDoubt(slot, change)) {
        const changes = doubted.get(slot)
        if (changes?.at(-1) !== change) doubted.set(slot, [...(changes ?? []), change])
        return
      }
      if (expired?.has(slot)) return
      expired?.add(slot)
      if (own === 'drop') doubted.delete(slot)
      take(slot, own)
    }
    l1.resolve(change, touch, counters)
    if (change.kind !== 'target') continue
    for (const target of change.targets) {
      if (target.kind === 'key') touchOwnKey(context, target, touch)
      else if (target.kind !== 'tag') all.push(sweeps.begin(target, commit.lsn, change.mode))
    }
  }
  for (const [slot, changes] of doubted) {
    // A pattern of the same commit may have taken it.
    if (!l1.holds(slot)) continue
    doubts.hold(slot, changes)
    take(slot, 'drop')
  }
  for (const [mode, slots] of Object.entries(beyond) as [Mode, SlotSet][])
    sweeps.begin({ kind: 'gathered', slots }, commit.lsn, mode, touches[mode])
  counters.commits++
  if (!observers.hears('applied')) return
  const touched = all.reduce((sum, { count }) => sum + count, 0)
  observers.emit('applied', {
    position: context.positionAt(commit.lsn),
    committedAt: commit.committedAt,
    changes: countChanges(commit.changes),
    touched,
    left: Math.max(0, before - touched),
    entries: all.flatMap(({ named }) => named).slice(0, NAMED_MAX),
    mode,
    sweeping: sweeps.pendingAt(commit.lsn),
    tenants: tenantsOf(commit.changes),
    isOfSource: commit.changes.some(({ kind }) => kind !== 'target'),
  })
}

function tenantsOf(changes: readonly Change[]): string[] {
  const targets = changes.flatMap((change) => (change.kind === 'target' ? change.targets : []))
  return [...new Set(targets.flatMap((target) => (target.kind === 'everything' ? [] : [target.tenant])))]
}

/** A key target names the entry itself, in every session. */
function touchOwnKey(
  { spaces }: ApplyContext,
  target: Extract<Target, { kind: 'key' }>,
  touch: (slot: number) => void,
): void {
  for (const [space, key] of keysOf(spaces, target.tenant, target.key)) {
    const slot = space.slots.get(key)
    if (slot !== undefined) touch(slot)
  }
}

/** Where a key's text form may be stored: as a `get` key, and as a definition's, in every session. */
export function* keysOf(
  spaces: Keyspaces,
  tenant: string,
  text: string,
): Generator<[Keyspace, string | number | bigint | boolean | null]> {
  for (const space of spaces.named(tenant, undefined)) yield [space, text]
  const own = splitKey(text)
  if (!own) return
  for (const space of spaces.named(tenant, own.name)) yield [space, own.key]
}

function countChanges(changes: readonly Change[]): Record<string, number> {
  const counts: Record<string, number> = {}
  const count = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1
  }
  for (const change of changes) {
    switch (change.kind) {
      case 'row':
        count(`${change.table} ${change.op}`)
        break
      case 'table':
        count(`${change.table} ${change.reason}`)
        break
      case 'target':
        for (const target of change.targets) count(nameOf(target))
        break
      case 'everything':
        count(`everything: ${change.reason}`)
        break
      default:
        change satisfies never
    }
  }
  return counts
}

function nameOf(target: Target): string {
  switch (target.kind) {
    case 'key':
      return `key ${target.key}`
    case 'tag':
      return isNothing(target) ? 'nothing' : `tag ${target.tag}`
    case 'pattern':
      return `${target.syntax} ${target.pattern}`
    case 'tenant':
      return `tenant ${target.tenant}`
    case 'everything':
      return 'everything: asked for'
  }
}
