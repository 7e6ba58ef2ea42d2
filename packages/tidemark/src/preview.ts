import type { Preview } from './cache.js'
import type { Core } from './core.js'
import { reachOfKey } from './dependencies/pattern.js'
import { keysOf } from './follow/apply.js'
import { candidatesOf } from './follow/candidates.js'
import type { Target } from './log/change.js'

const SAMPLE_MAX = 20
/** How long the event loop is held at most, but for the step that ends it. */
const SLICE_MS = 5

/** What these targets would make stale in L1 now; changes nothing. */
export async function preview(
  core: Core,
  targets: readonly Target[],
  tenant: string,
  signal: AbortSignal | undefined,
): Promise<Preview> {
  const named = new Set<number>()
  const dependents = new Set<number>()
  const steps = targets.flatMap((target) => [stepsOf(core, target, named, dependents)])
  let until = core.clock.now() + SLICE_MS
  for (const each of steps) {
    while (!each.next().done) {
      if (core.clock.now() < until) continue
      await new Promise<void>((resolve) => core.clock.after(0, resolve))
      signal?.throwIfAborted()
      until = core.clock.now() + SLICE_MS
    }
  }
  const isEverything = targets.some(({ kind }) => kind === 'everything')
  // Slots may have been freed between two slices, and what a sweep has yet to come to is gone for readers.
  const isSeen = (slot: number): boolean =>
    core.l1.holds(slot) &&
    core.sweeps.modeOf(slot) !== 'drop' &&
    (isEverything || core.l1.spaceOf(slot).tenant === tenant)
  const own = [...named].filter(isSeen)
  const others = [...dependents].filter((slot) => !named.has(slot) && isSeen(slot))
  return {
    count: own.length,
    sample: sample(core, own, tenant),
    dependents: others.length,
    dependentSample: sample(core, others, tenant),
  }
}

function* stepsOf(core: Core, target: Target, named: Set<number>, dependents: Set<number>): Generator<unknown> {
  const { l1, spaces } = core
  const depend = (id: number | undefined): void => {
    if (id !== undefined) l1.index.entriesOf(id, (slot) => void (target.kind === 'tag' ? named : dependents).add(slot))
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
  for (const candidate of candidatesOf(l1, spaces, target)) {
    if (candidate && (candidate.key === undefined || reachOfKey(target, candidate.tenant, candidate.key) !== 'none')) {
      if (candidate.kind === 'entry') named.add(candidate.id)
      else depend(candidate.id)
    }
    yield
  }
}

function sample({ l1 }: Core, slots: readonly number[], tenant: string): string[] {
  const keys: string[] = []
  for (const slot of slots) {
    const space = l1.spaceOf(slot)
    if (space.tenant !== tenant) continue
    keys.push(space.text(l1.keyOf(slot)))
    if (keys.length === SAMPLE_MAX) break
  }
  return keys
}
