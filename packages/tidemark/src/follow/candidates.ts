import { matcherOf } from '../dependencies/pattern.js'
import type { Target } from '../log/change.js'
import type { Keyspaces } from '../read/keyspaces.js'
import type { OrderedKey } from '../tiers/key-order.js'
import type { L1 } from '../tiers/l1.js'

/** Targets that name keys without listing them. */
export type WideTarget = Exclude<Target, { kind: 'key' | 'tag' }>

/** A key that a target may name. `key` is missing where all of them are named. */
export type Candidate = Omit<OrderedKey, 'key'> & { readonly tenant: string; readonly key?: string }

/**
 * The keys that a target may name, stored or depended on, in steps between which entries may come and go. A step without a
 * candidate was one of building an index.
 *
 * Cost: where every match begins or ends with the same text, the keys that do; else all keys of the tenant.
 */
export function* candidatesOf(l1: L1, spaces: Keyspaces, target: WideTarget): Generator<Candidate | undefined> {
  if (target.kind === 'everything') return yield* stored(l1, spaces.all())
  const { tenant } = target
  if (target.kind === 'pattern') {
    const { prefix, suffix } = matcherOf(target)
    if (prefix !== '' || suffix !== '') {
      const order = l1.order(prefix === '' ? 'end' : 'beginning')
      yield* order.build()
      for (const { key, kind, id } of order.keys(tenant, prefix || suffix)) yield { tenant, key, kind, id }
      return
    }
  }
  for (const [key, id] of l1.index.keysOf(tenant)) yield { tenant, key, kind: 'dependency', id }
  if (target.kind === 'tenant') return yield* stored(l1, spaces.of(tenant))
  for (const space of spaces.of(tenant))
    for (const [key, id] of space.slots) yield { tenant, key: space.text(key), kind: 'entry', id }
}

function* stored(l1: L1, spaces: ReturnType<Keyspaces['of']>): Generator<Candidate> {
  for (const space of spaces) {
    const { tenant } = space
    for (const id of l1.formersOf(space)) yield { tenant, kind: 'entry', id }
    for (const id of space.slots.values()) yield { tenant, kind: 'entry', id }
  }
}
