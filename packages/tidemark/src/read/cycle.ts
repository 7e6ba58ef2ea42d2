import type { Loading } from './loading.js'

/** Whether what loads waits, directly or through others, for `target`: a join of `target` that waits for it would never end. */
export function waitsFor(loading: Loading, target: Loading, seen?: Set<Loading>): boolean {
  if (loading === target) return true
  const { batch, reads } = loading
  if ((!batch && reads.size === 0) || seen?.has(loading)) return false
  seen ??= new Set()
  seen.add(loading)
  if (batch && waitsFor(batch, target, seen)) return true
  for (const { flight } of reads) if (waitsFor(flight, target, seen)) return true
  return false
}
