import { type Matcher, matcherOf, type PatternTarget } from '../dependencies/pattern.js'
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
  const look = new Look(stepKeys)
  if (target.kind === 'everything') yield* stored(l1, spaces.all(), look)
  else if (target.kind === 'tenant') {
    for (const [, id] of l1.index.keysOf(target.tenant)) if (look.take('dependency', id)) yield* look.step()
    yield* stored(l1, spaces.of(target.tenant), look)
  } else yield* matched(l1, spaces, target, look)
  yield look.reached
}

function* stored(l1: L1, spaces: ReturnType<Keyspaces['of']>, look: Look): Generator<Reached> {
  for (const space of spaces)
    for (const slots of [l1.formersOf(space), space.slots.values()])
      for (const slot of slots) if (look.take('entry', slot)) yield* look.step()
}

function* matched(l1: L1, spaces: Keyspaces, target: PatternTarget, look: Look): Generator<Reached> {
  const { tenant } = target
  const matcher = matcherOf(target)
  if (matcher.prefix !== '' || matcher.suffix !== '') return yield* inOrder(l1, tenant, matcher, look)
  for (const [key, id] of l1.index.keysOf(tenant)) if (look.at(matcher, 'dependency', id, key)) yield* look.step()
  for (const space of spaces.of(tenant))
    for (const [key, id] of space.slots) if (look.at(matcher, 'entry', id, space.text(key))) yield* look.step()
}

/** By the ordered index: keys with the right beginning, or end. */
function* inOrder(l1: L1, tenant: string, matcher: Matcher, look: Look): Generator<Reached> {
  const { prefix, suffix, isPrefix } = matcher
  const order = l1.orders.by(prefix === '' ? 'end' : 'beginning')
  let built = 0
  for (const _ of order.build()) if (++built % look.stepKeys === 0) yield look.reached
  for (const kind of KINDS) {
    for (const { texts, handles } of order.pages(kind, tenant, prefix || suffix)) {
      for (let i = 0; i < handles.length; i++) {
        const id = handles[i]!
        // All that begin with it match.
        const isOver = isPrefix ? look.take(kind, id) : look.at(matcher, kind, id, order.keyOf(texts[i]!))
        if (isOver) yield* look.step()
      }
    }
  }
}

/** Takes what is named, or held against a pattern, so much in one step. */
class Look {
  readonly reached = new Reached()
  #keys = 0
  #effort = 0

  constructor(readonly stepKeys: number) {}

  /** A key that is named. Returns whether the step is over. */
  take(kind: Kind, id: number): boolean {
    this.reached.add(kind, id)
    return ++this.#keys >= this.stepKeys
  }

  /** A key that is if the pattern says so. Returns whether the step is over. */
  at(matcher: Matcher, kind: Kind, id: number, key: string): boolean {
    const reach = matcher.reach(key)
    if (reach === 'coarse') this.reached.coarse++
    this.#effort += matcher.effort(key)
    if (reach !== 'none') this.reached.add(kind, id)
    return ++this.#keys >= this.stepKeys || this.#effort >= STEP_EFFORT
  }

  *step(): Generator<Reached> {
    yield this.reached
    this.reached.clear()
    this.#keys = this.#effort = 0
  }
}
