import type { Clock } from '../clock.js'
import type { Counters } from '../counters.js'
import type { EntryName, Observers } from '../events.js'
import { parseSlotText } from '../keys.js'
import type { Change, Commit, Mode, Target } from '../log/change.js'
import type { Keyspace } from '../read/keyspace.js'
import type { Keyspaces } from '../read/keyspaces.js'
import type { L1 } from '../tiers/l1.js'

const NAMED_MAX = 100

export interface ApplyContext {
  readonly l1: L1
  readonly spaces: Keyspaces
  readonly counters: Counters
  readonly observers: Observers
  readonly clock: Clock
  positionAt(lsn: number): string
}

/** Makes stale what a commit touches: drops or expires entries, and wakes who watches them. Cost: the entries touched. */
export function apply(context: ApplyContext, commit: Commit): void {
  const { l1, counters, observers } = context
  const isHeard = observers.hears('applied')
  const named: EntryName[] = []
  const before = l1.size
  let touched = 0
  let mode: Mode = 'drop'
  for (const change of commit.changes) {
    counters.changes++
    if (change.kind === 'target') mode = change.mode
    // What expires stays, so its next dependency finds it again.
    const expired = change.kind === 'target' && change.mode === 'expire' ? new Set<number>() : undefined
    const touch = (slot: number): void => {
      if (expired?.has(slot)) return
      expired?.add(slot)
      touched++
      const space = l1.spaceOf(slot) as Keyspace
      const key = l1.keyOf(slot)
      if (isHeard && named.length < NAMED_MAX) named.push({ tenant: space.tenant, key: space.text(key) })
      const watch = space.watches.size > 0 ? space.watches.get(key) : undefined
      if (expired) l1.expire(slot, context.clock.now())
      else l1.remove(slot)
      watch?.touch()
    }
    l1.resolve(change, touch, counters)
    if (change.kind === 'target') for (const target of change.targets) touchOwnKey(context, target, touch)
  }
  counters.commits++
  counters.invalidated += touched
  if (!isHeard) return
  observers.emit('applied', {
    position: context.positionAt(commit.lsn),
    committedAt: commit.committedAt,
    changes: countChanges(commit.changes),
    touched,
    left: Math.max(0, before - touched),
    entries: named,
    mode,
  })
}

/** A key target names the entry itself, in every session. */
function touchOwnKey({ spaces }: ApplyContext, target: Target, touch: (slot: number) => void): void {
  if (target.kind !== 'key') return
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
  const open = text.indexOf('(')
  if (open < 1 || !text.endsWith(')')) return
  for (const space of spaces.named(tenant, text.slice(0, open))) yield [space, parseSlotText(text.slice(open + 1, -1))]
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
        for (const target of change.targets) count(target.kind === 'tag' ? `tag ${target.tag}` : `key ${target.key}`)
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
