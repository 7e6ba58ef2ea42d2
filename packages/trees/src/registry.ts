import type { Cache, Explanation } from 'tidemark'
import type { Touched } from './edit.js'
import type { NodeInfo } from './lists.js'
import type { Path } from './pointer.js'
import { hitsOf, type Reading } from './readings.js'
import { changedRow } from './rows.js'
import { keyOf } from './view.js'

/**
 * Of a node's view in this process. cached: kept, and answered at once. stale: kept, but expired, or this process cannot prove that it is
 * current. invalidated: it was read here, and is gone since, by a change (or by eviction). absent: nobody read it here, or it could not be kept.
 */
export type NodeState = 'cached' | 'stale' | 'invalidated' | 'absent'

/** A node, and how the cache of this process has it. */
export interface RegisteredNode extends NodeInfo {
  readonly state: NodeState
  readonly hits: number
  readonly misses: number
  /** Milliseconds since 1970; undefined if nobody read it here. */
  readonly lastReadAt: number | undefined
  /** Nodes that were declared to be invalidated with it. */
  readonly declared: readonly Path[]
  /** Entries of this process that a change of it would make stale. */
  readonly dependents: Touched
}

/** Says of nodes how the cache has them. Cost: one look-up of what depends on it for each. */
export async function register(
  cache: Cache,
  tenant: string,
  nodes: readonly NodeInfo[],
  readings: ReadonlyMap<Path, Reading> | undefined,
  declared: readonly { readonly path: Path; readonly dependent: Path }[],
): Promise<RegisteredNode[]> {
  const registered: RegisteredNode[] = []
  for (const node of nodes) {
    const place = { tenant, config: node.config, path: node.path }
    const reading = readings?.get(node.path)
    const row = changedRow(place, node.path, ['value', 'version'])
    const { dependents: count, dependentSample: keys } = await cache.preview({ rows: [row], sampleMax: 100 })
    registered.push({
      ...node,
      state: stateOf(cache.explain(keyOf(place)), reading),
      hits: reading ? hitsOf(reading) : 0,
      misses: reading?.loads ?? 0,
      lastReadAt: reading?.lastReadAt,
      declared: declared.filter(({ path }) => path === node.path).map(({ dependent }) => dependent),
      dependents: { count, keys },
    })
  }
  return registered
}

function stateOf({ state, notKept }: Explanation, reading: Reading | undefined): NodeState {
  if (state === 'fresh') return 'cached'
  if (state !== 'absent') return 'stale'
  return reading && notKept === undefined ? 'invalidated' : 'absent'
}
