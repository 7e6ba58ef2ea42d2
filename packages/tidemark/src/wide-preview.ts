import type { Preview } from './cache.js'
import type { Core } from './core.js'
import { matcherOf, type PatternTarget } from './dependencies/pattern.js'
import type { Wanted } from './preview.js'
import type { Keyspace } from './read/keyspace.js'
import { Slices } from './slices.js'
import { Tally } from './tally.js'
import { SlotSet } from './tiers/slot-set.js'

/**
 * What a whole tenant, or all that begins with a text, would make stale: that may be a million entries, so they are counted and not
 * gathered. Undefined where it takes a closer look: something else is named too, or a sweep is under way.
 *
 * Cost: of a tenant its definitions; of a prefix the keys that begin with it, none of which is looked at.
 */
export async function previewWide(core: Core, wanted: Wanted, sampleMax: number): Promise<Preview | undefined> {
  const { targets, rows = [], tenant, signal } = wanted
  const [target] = targets
  if (!target || targets.length > 1 || rows.length > 0 || core.sweeps.pending > 0) return undefined
  if (target.kind === 'tenant' && target.tenant === tenant) return ofTenant(core, tenant, sampleMax)
  const isPrefix = target.kind === 'pattern' && target.tenant === tenant && matcherOf(target).isPrefix
  return isPrefix ? ofPrefix(core, target, sampleMax, signal) : undefined
}

export function ofTenant({ spaces }: Core, tenant: string, sampleMax: number): Preview {
  const tally = new Tally()
  const sample: string[] = []
  for (const space of spaces.of(tenant)) {
    tally.add(space, space.slots.size)
    if (sample.length < sampleMax)
      for (const key of space.slots.keys()) if (sample.push(space.text(key)) >= sampleMax) break
  }
  const { count, refill } = tally
  return { count, sample: sample.slice(0, sampleMax), dependents: 0, dependentSample: [], refill }
}

async function ofPrefix(
  core: Core,
  target: PatternTarget,
  sampleMax: number,
  signal: AbortSignal | undefined,
): Promise<Preview> {
  const { l1 } = core
  const { prefix } = matcherOf(target)
  const slices = new Slices(core.clock, signal)
  const order = l1.orders.by('beginning')
  await slices.all(order.build())
  const tally = new Tally()
  const sample: string[] = []
  const dependents = new SlotSet()
  for (const { texts, handles } of order.pages('entry', target.tenant, prefix)) {
    for (let i = 0; i < handles.length; i++) {
      tally.add(l1.spaceOf(handles[i]!) as Keyspace, 1)
      if (sample.length < sampleMax) sample.push(texts[i]!)
    }
    if (slices.isOver) await slices.next()
  }
  for (const { handles } of order.pages('dependency', target.tenant, prefix)) {
    for (const id of handles) l1.index.entriesOf(id, (slot) => dependents.add(slot))
    if (slices.isOver) await slices.next()
  }
  const dependentSample: string[] = []
  const { count } = tally
  for (const slot of dependents) {
    if (slices.isOver) await slices.next()
    // Between two slices it may have gone; and what is named itself counts as that.
    if (!l1.holds(slot)) continue
    const space = l1.spaceOf(slot) as Keyspace
    const key = space.text(l1.keyOf(slot))
    if (space.tenant !== target.tenant || key.startsWith(prefix)) continue
    tally.add(space, 1)
    if (dependentSample.length < sampleMax) dependentSample.push(key)
  }
  return { count, sample, dependents: tally.count - count, dependentSample, refill: tally.refill }
}
