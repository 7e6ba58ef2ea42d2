import { type Matcher, matcherOf } from '../dependencies/pattern.js'
import type { Target } from '../log/change.js'
import type { Keyspaces } from '../read/keyspaces.js'
import { KINDS, type Kind } from '../tiers/key-order.js'
import type { L1 } from '../tiers/l1.js'

/** Targets that name keys without listing them. */
export type WideTarget = Exclude<Target, { kind: 'key' | 'tag' }>

/** What one step of a look for a target came upon. Good until the next step: what it tells may go between two. */
export class Reached {
  /** Slots of the entries whose keys are named. */
  readonly entries: number[] = []
  /** Ids of the keys that are named and depended on. */
  readonly dependencies: number[] = []
  /** How many of these count as named because it would take too long to say. */
  coarse = 0

  add(kind: Kind, id: number): void {
    if (kind === 'entry') this.entries.push(id)
    else this.dependencies.push(id)
  }

  clear(): void {
    this.entries.length = this.dependencies.length = this.coarse = 0
  }
}

/** A step ends when it has matched keys for so much effort (see `Matcher.effort`): at most half a millisecond. */
const STEP_EFFORT = 0.05

/**
 * What a target names, stored or depended on, in steps between which entries may come and go. A step may come upon nothing.
 *
 * Cost: where every match begins or ends with the same text, the keys that do; else all keys of the tenant.
 *
 * @param stepKeys  how many keys one step looks at, at most
 */
export function* reachedBy(l1: L1, spaces: Keyspaces, target: WideTarget, stepKeys: number): Generator<Reached> {
  const reached = new Reached()
  if (target.kind === 'everything') return yield* stored(l1, spaces.all(), reached, stepKeys)
  const { tenant } = target
  if (target.kind === 'pattern') {
    const look = new Look(matcherOf(target), reached, stepKeys)
    const { prefix, suffix } = look.matcher
    if (prefix !== '' || suffix !== '') return yield* inOrder(l1, tenant, look)
    for (const [key, id] of l1.index.keysOf(tenant)) if (look.at('dependency', id, key)) yield* look.step()
    for (const space of spaces.of(tenant))
      for (const [key, id] of space.slots) if (look.at('entry', id, space.text(key))) yield* look.step()
    return yield reached
  }
  for (const [, id] of l1.index.keysOf(tenant)) {
    reached.add('dependency', id)
    if (reached.dependencies.length < stepKeys) continue
    yield reached
    reached.clear()
  }
  yield* stored(l1, spaces.of(tenant), reached, stepKeys)
}

/** By the ordered index: keys with the right beginning, or end. */
function* inOrder(l1: L1, tenant: string, look: Look): Generator<Reached> {
  const { prefix, suffix, isPrefix } = look.matcher
  const order = l1.order(prefix === '' ? 'end' : 'beginning')
  let built = 0
  for (const _ of order.build()) if (++built % look.stepKeys === 0) yield look.reached
  for (const kind of KINDS) {
    for (const { texts, handles } of order.pages(kind, tenant, prefix || suffix)) {
      for (let i = 0; i < handles.length; i++) {
        const isOver = isPrefix ? look.take(kind, handles[i]!) : look.at(kind, handles[i]!, order.keyOf(texts[i]!))
        if (isOver) yield* look.step()
      }
    }
  }
  yield look.reached
}

function* stored(l1: L1, spaces: ReturnType<Keyspaces['of']>, reached: Reached, stepKeys: number): Generator<Reached> {
  for (const space of spaces) {
    for (const slots of [l1.formersOf(space), space.slots.values()]) {
      for (const slot of slots) {
        reached.add('entry', slot)
        if (reached.entries.length < stepKeys) continue
        yield reached
        reached.clear()
      }
    }
  }
  yield reached
}

/** Holds keys against a pattern, so many in one step. */
class Look {
  #keys = 0
  #effort = 0

  constructor(
    readonly matcher: Matcher,
    readonly reached: Reached,
    readonly stepKeys: number,
  ) {}

  /** Returns whether the step is over. */
  at(kind: Kind, id: number, key: string): boolean {
    const reach = this.matcher.reach(key)
    if (reach === 'coarse') this.reached.coarse++
    this.#effort += this.matcher.effort(key)
    if (reach !== 'none') this.reached.add(kind, id)
    return ++this.#keys >= this.stepKeys || this.#effort >= STEP_EFFORT
  }

  /** The same for a key that is known to match. */
  take(kind: Kind, id: number): boolean {
    this.reached.add(kind, id)
    return ++this.#keys >= this.stepKeys
  }

  *step(): Generator<Reached> {
    yield this.reached
    this.reached.clear()
    this.#keys = this.#effort = 0
  }
}
