import type { Representation } from '../resources/representation.js'
import type { As } from './socket-messages.js'

/** Nodes that match, as a socket is told them. */
export interface NodesMessage {
  readonly event: 'nodes'
  /** About as long as it is when it is sent. */
  readonly bytes: number
  readonly whole: boolean
  readonly changed: Readonly<Record<string, unknown>>
  readonly removed: readonly string[]
}

/** By what it leads to and from: each is made once for all who had the same before, and for who waits for room again and again. */
const made = {
  text: new WeakMap<Representation, WeakMap<Representation, NodesMessage>>(),
  value: new WeakMap<Representation, WeakMap<Representation, NodesMessage>>(),
}
const NOTHING: Representation = { body: '', hash: '' }
const NONE: ReadonlyMap<string, string> = new Map()

/** All nodes that match, or those of them that are others than before. */
export function nodesMessage(now: Representation, before: Representation | undefined, as: As): NodesMessage {
  const all = made[as === 'text' ? 'text' : 'value']
  const own = all.get(now) ?? new WeakMap<Representation, NodesMessage>()
  const message = own.get(before ?? NOTHING) ?? messageOf(now, before, as)
  all.set(now, own.set(before ?? NOTHING, message))
  return message
}

function messageOf({ nodes = NONE }: Representation, before: Representation | undefined, as: As): NodesMessage {
  const had = before?.nodes ?? NONE
  const changed = [...nodes].filter(([path, json]) => had.get(path) !== json)
  const removed = [...had.keys()].filter((path) => !nodes.has(path))
  return {
    event: 'nodes',
    bytes: [...changed.flat(), ...removed].reduce((sum, text) => sum + text.length, 0),
    whole: before === undefined,
    changed: Object.fromEntries(changed.map(([path, json]) => [path, as === 'text' ? json : JSON.parse(json)])),
    removed,
  }
}
