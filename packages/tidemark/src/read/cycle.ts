import type { Flight } from './flight.js'

/** Whether `flight` waits, directly or through others, for `target`: a join of `target` that waits for `flight` would never end. */
export function waitsFor(flight: Flight, target: Flight, seen = new Set<Flight>()): boolean {
  if (flight === target) return true
  if (seen.has(flight)) return false
  seen.add(flight)
  for (const next of flight.waitsFor.keys()) if (waitsFor(next, target, seen)) return true
  return false
}
