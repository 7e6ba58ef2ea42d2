import type { Counted } from './cache.js'
import type { Core } from './core.js'
import { matcherOf, type PatternTarget } from './dependencies/pattern.js'
import { reachedBy } from './follow/reached.js'
import { visit, type Wanted } from './preview.js'
import type { Keyspace } from './read/keyspace.js'
import { Slices } from './slices.js'
import { ofTenant } from './wide-preview.js'

/** Keys that are looked at between two looks at the clock. */
const STEP_KEYS = 64

/**
 * How many entries in L1 these targets name, and some of their keys. Cost: of a tenant its definitions; of a prefix only the keys that are
 * told; of other patterns, where keys are in order, what it takes to say what keys that lie together begin with and are made of, and of holding
 * those against it of which that does not tell; else of holding each key against it, once.
 */
export async function count(core: Core, wanted: Told): Promise<Counted> {
  const { targets, tenant, sampleMax } = wanted
  const [target] = targets
  if (target && targets.length === 1) {
    const isSweeping = core.sweeps.pending > 0
    if (target.kind === 'tenant' && target.tenant === tenant && !isSweeping) return ofTenant(core, tenant, sampleMax)
    if (target.kind === 'pattern')
      return !isSweeping && isInOrder(core, target) ? inOrder(core, target, wanted) : ofPattern(core, target, wanted)
  }
  const found = new Counting(core, wanted)
  await visit(core, wanted, (slot, part) => {
    if (part === 'named') found.add(slot)
  })
  return found.told
}

/** Whether keys are in order, or are put in order for it. */
function isInOrder({ l1 }: Core, target: PatternTarget): boolean {
  const { prefix, suffix } = matcherOf(target)
  return prefix !== '' || (suffix === '' && l1.orders.isOrdered)
}

async function inOrder(core: Core, target: PatternTarget, { tenant, sampleMax, signal }: Told): Promise<Counted> {
  const matcher = matcherOf(target)
  const slices = new Slices(core.clock, signal)
  const order = core.l1.orders.by('beginning')
  await slices.all(order.build())
  const sample: string[] = []
  const found: number[] = []
  let count = 0
  const run = order.run('entry', tenant, matcher.prefix)
  while (run.next()) {
    const { texts, from, to, beginning } = run
    const { ofAll, enough, find } = matcher.begin(beginning, run.alphabet)
    if (ofAll === undefined) {
      run.end(find(run, found))
      count += found.length
      for (let i = 0; i < found.length && sample.length < sampleMax; i++) sample.push(texts[found[i]!]!)
      found.length = 0
    } else {
      const isNamed = ofAll === 'exact'
      if (isNamed) {
        count += to - from
        for (let place = from; place < to && sample.length < sampleMax; place++) sample.push(texts[place]!)
      }
      // Those behind it that begin so are as these are.
      if (enough !== undefined && (!isNamed || sample.length >= sampleMax)) {
        const more = run.extend(beginning.slice(0, enough))
        if (isNamed) count += more
      }
    }
    if (!slices.isOver) continue
    run.mark()
    await slices.next()
  }
  return { count, sample }
}

async function ofPattern(core: Core, target: PatternTarget, wanted: Told): Promise<Counted> {
  const { l1, spaces, sweeps, clock } = core
  const slices = new Slices(clock, wanted.signal)
  const found = new Counting(core, wanted)
  for (const { entries } of reachedBy(l1, spaces, target, STEP_KEYS)) {
    for (const slot of entries) {
      // It may have gone meanwhile; and what a sweep has yet to come to is gone for readers.
      if (l1.holds(slot) && (sweeps.pending === 0 || sweeps.modeOf(slot) !== 'drop')) found.add(slot)
    }
    if (slices.isOver) await slices.next()
  }
  return found.told
}

type Told = Wanted & { readonly sampleMax: number }

/** Entries that are named, each once. */
class Counting {
  #count = 0
  readonly #sample: string[] = []
  readonly #core: Core
  readonly #told: Told

  constructor(core: Core, told: Told) {
    this.#core = core
    this.#told = told
  }

  add(slot: number): void {
    this.#count++
    if (this.#sample.length >= this.#told.sampleMax) return
    const { l1 } = this.#core
    const space = l1.spaceOf(slot) as Keyspace
    // Keys of others are nobody's business.
    if (space.tenant === this.#told.tenant) this.#sample.push(space.text(l1.keyOf(slot)))
  }

  get told(): Counted {
    return { count: this.#count, sample: this.#sample }
  }
}
