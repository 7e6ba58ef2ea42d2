import type { Loading } from './loading.js'

/** Whether what loads waits, directly or through others, for `target`: a join of `target` that waits for it would never end. */
export function waitsFor(loading: Loading, target: Loading, seen?: Set<Loading>): boolean {
  if (loading === target) return true
  if (!loading.isWaiting || seen?.has(loading)) return false
  seen ??= new Set()
  seen.add(loading)
  for (const next of loading.waitsFor.keys()) if (waitsFor(next, target, seen)) return true
  return false
}
