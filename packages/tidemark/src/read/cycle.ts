import type { Loading } from './loading.js'

/** Whether what loads waits, directly or through others, for `target`: a join of `target` that waits for it would never end. */
export function waitsFor(loading: Loading, target: Loading, seen = new Set<Loading>()): boolean {
  if (loading === target) return true
  if (seen.has(loading)) return false
  seen.add(loading)
  for (const next of loading.waitsFor.keys()) if (waitsFor(next, target, seen)) return true
  return false
}
