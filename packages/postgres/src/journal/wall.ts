/** How far the two clocks may go apart before one of them was set, or slept. */
const APART_MAX_MS = 2

let origin = performance.timeOrigin

/** Milliseconds since 1970 with their fractions: most changes take less than one until they are applied. */
export function wall(): number {
  const now = performance.now()
  if (Math.abs(origin + now - Date.now()) > APART_MAX_MS) origin = Date.now() - now
  return origin + now
}
