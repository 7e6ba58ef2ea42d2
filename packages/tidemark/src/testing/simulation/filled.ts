import type { World } from './world.js'

/** Whether something is kept that was filled at or after this time, and before the other. */
export function hasFilledSince(
  { core: { l1, spaces } }: World,
  time = Number.POSITIVE_INFINITY,
  before = Number.POSITIVE_INFINITY,
): boolean {
  for (const { slots } of spaces.all()) {
    for (const slot of slots.values()) {
      const at = l1.filledAtOf(slot)
      if (at >= time && at < before) return true
    }
  }
  return false
}
