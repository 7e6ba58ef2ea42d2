import { type CacheEvents, parsePosition } from 'tidemark'
import type { Effect } from './effect.js'

/** What the journal hears of a cache. */
export type On = <Name extends keyof CacheEvents>(
  name: Name,
  listener: (event: CacheEvents[Name]) => void,
) => () => void

/** So many changes are remembered whose sweeps may still run. */
const SWEPT_MAX = 1_000

/** Tells what each change did in this process. Of rows that touched nothing there is nothing to tell. */
export function observe(on: On, effect: (effect: Effect) => void, wall: () => number): void {
  const recent = new Map<string, Pick<Effect, 'tenant' | 'committedAt'>>()
  on('applied', ({ position, committedAt, touched, mode, tenants, changes, isOfSource, sweeping }) => {
    const isRequest = tenants.length > 0 || 'everything: asked for' in changes
    if (touched === 0 && sweeping === 0 && !isRequest) return
    // What a request of one tenant did is that tenant's; all else may concern several.
    const tenant = tenants.length === 1 && !isOfSource ? tenants[0]! : null
    if (isRequest || sweeping > 0) {
      if (recent.size >= SWEPT_MAX) for (const oldest of recent.keys()) if (recent.delete(oldest)) break
      recent.set(position, { tenant, committedAt })
    }
    effect({ ...placeOf(position), committedAt, tenant, mode, touched: { l1: touched }, ms: wall() - committedAt })
  })
  on('swept', ({ position, touched, mode }) => {
    const asked = recent.get(position)
    if (!asked) return
    effect({ ...placeOf(position), ...asked, mode, touched: { l1: touched }, ms: wall() - asked.committedAt })
  })
}

function placeOf(position: string): Pick<Effect, 'epoch' | 'lsn'> {
  const { epoch = '', lsn } = parsePosition(position)
  return { epoch, lsn }
}
