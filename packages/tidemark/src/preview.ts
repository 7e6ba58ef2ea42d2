import type { Preview } from './cache.js'
import type { Core } from './core.js'
import { zeroCounters } from './counters.js'
import { keysOf } from './follow/apply.js'
import { reachedBy } from './follow/reached.js'
import type { RowChange, Target } from './log/change.js'
import type { Keyspace } from './read/keyspace.js'
import { Slices } from './slices.js'
import { Tally } from './tally.js'
import { SlotSet } from './tiers/slot-set.js'
import { previewWide } from './wide-preview.js'

/** Keys that are told where nobody says how many. */
export const SAMPLE_DEFAULT = 20
/** Keys that are looked at between two looks at the clock. */
const STEP_KEYS = 32

export interface Wanted {
  readonly targets: readonly Target[]
  readonly rows?: readonly RowChange[] | undefined
  readonly tenant: string
  readonly sampleMax?: number | undefined
  readonly signal: AbortSignal | undefined
}

/** What these targets would make stale in L1 now; changes nothing. */
export async function preview(core: Core, wanted: Wanted): Promise<Preview> {
  const { tenant, sampleMax = SAMPLE_DEFAULT } = wanted
  const wide = await previewWide(core, wanted, sampleMax)
  if (wide) return wide
  const { l1 } = core
  const tally = new Tally()
  const samples = { named: [] as string[], dependent: [] as string[] }
  let named = 0
  await visit(core, wanted, (slot, part) => {
    const space = l1.spaceOf(slot) as Keyspace
    tally.add(space, 1)
    if (part === 'named') named++
    const sample = samples[part]
    if (sample.length < sampleMax && space.tenant === tenant) sample.push(space.text(l1.keyOf(slot)))
  })
  return {
    count: named,
    sample: samples.named,
    dependents: tally.count - named,
    dependentSample: samples.dependent,
    refill: tally.refill,
  }
}

/** Takes out of L1 what these targets name, and what was computed from it; returns how many entries left. */
export async function evict(core: Core, wanted: Wanted): Promise<number> {
  const { l1, clock, counters } = core
  const from = clock.now()
  let count = 0
  await visit(core, wanted, (slot) => {
    // Between two slices the slot may have been freed, and have another entry now.
    if (l1.filledAtOf(slot) > from) return
    const watch = (l1.spaceOf(slot) as Keyspace).watches.get(l1.keyOf(slot))
    l1.remove(slot)
    watch?.touch()
    count++
  })
  counters.evicted += count
  return count
}

/** Visits the slots of what is named, then those of what was computed from it, in slices. */
export async function visit(
  core: Core,
  { targets, rows = [], tenant, signal }: Wanted,
  seen: (slot: number, part: 'named' | 'dependent') => void,
): Promise<void> {
  signal?.throwIfAborted()
  const named = new SlotSet()
  const dependents = new SlotSet()
  const slices = new Slices(core.clock, signal)
  for (const target of targets) await slices.all(stepsOf(core, target, named, dependents))
  // What this look-up counts is no change that happened.
  const tally = zeroCounters()
  for (const row of rows) {
    core.l1.resolve(row, (slot) => dependents.add(slot), tally)
    if (slices.isOver) await slices.next()
  }
  const isEverything = targets.some(({ kind }) => kind === 'everything')
  // Slots may have been freed between two slices, and what a sweep has yet to come to is gone for readers.
  const isSeen = (slot: number): boolean =>
    core.l1.holds(slot) &&
    core.sweeps.modeOf(slot) !== 'drop' &&
    (isEverything || core.l1.spaceOf(slot).tenant === tenant)
  for (const slot of named) {
    if (isSeen(slot)) seen(slot, 'named')
    if (slices.isOver) await slices.next()
  }
  for (const slot of dependents) {
    if (!named.has(slot) && isSeen(slot)) seen(slot, 'dependent')
    if (slices.isOver) await slices.next()
  }
}

function* stepsOf(core: Core, target: Target, named: SlotSet, dependents: SlotSet): Generator<unknown> {
  const { l1, spaces } = core
  const depend = (id: number | undefined): void => {
    if (id !== undefined) l1.index.entriesOf(id, (slot) => (target.kind === 'tag' ? named : dependents).add(slot))
  }
  if (target.kind === 'tag') return depend(l1.index.idOf(target))
  if (target.kind === 'key') {
    depend(l1.index.idOf(target))
    for (const [space, key] of keysOf(spaces, target.tenant, target.key)) {
      const slot = space.slots.get(key)
      if (slot !== undefined) named.add(slot)
      yield
    }
    return
  }
  for (const { entries, dependencies } of reachedBy(l1, spaces, target, STEP_KEYS)) {
    for (const slot of entries) named.add(slot)
    for (const id of dependencies) depend(id)
    yield
  }
}
