type Numbers = Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array

/** No slot, link or id: the end of a list that is kept in a Uint32Array. */
export const NONE = 0xffff_ffff

/**
 * The next size of arrays that hold `capacity` items. They double while small, then grow by an eighth, so that at most
 * 12.5 % of the memory of a large cache stands empty; copying costs a stored entry 9 moves of its bytes at most.
 */
export function nextCapacity(capacity: number, max: number): number {
  return Math.min(max, Math.max(64, capacity + (capacity < 16_384 ? capacity : capacity >>> 3)))
}

/** The same numbers in a longer array. */
export function enlarged<Items extends Numbers>(items: Items, capacity: number): Items {
  const longer = new (items.constructor as new (length: number) => Items)(capacity)
  longer.set(items)
  return longer
}

/** The same items in a longer list. (`push` would leave half as much again empty.) */
export function enlargedList<Item>(items: readonly Item[], capacity: number): Item[] {
  const longer = new Array<Item>(capacity)
  for (let i = 0; i < items.length; i++) longer[i] = items[i] as Item
  return longer
}

/**
 * A new list. One that is written as a literal is made in the old space where V8 found that lists from there live on, and keeps what it holds from
 * dying young (docs/decisions/short-lived.md); V8 keeps no such account of arguments.
 */
export function listOf<Item>(...items: Item[]): Item[] {
  return items
}
