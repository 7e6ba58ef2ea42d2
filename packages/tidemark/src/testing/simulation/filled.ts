import type { World } from './world.js'

/** Whether something is kept that was filled at or after this time. */
export function hasFilledSince({ core: { l1, spaces } }: World, time = Number.POSITIVE_INFINITY): boolean {
  for (const { slots } of spaces.all()) for (const slot of slots.values()) if (l1.filledAtOf(slot) >= time) return true
  return false
}
