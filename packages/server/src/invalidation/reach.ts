import type { Cache, Pattern } from 'tidemark'

/** Matched keys that an answer remembers, for those who page through them. */
export const MATCHED_MAX = 10_000

/** What somebody asks for. */
export interface Naming {
  readonly keys?: readonly string[]
  readonly tags?: readonly string[]
  readonly pattern?: Pattern
  /** The pattern is looked for among these keys only, which are then named one by one. */
  readonly among?: readonly string[]
}

/** What that comes to, just before it is done. */
export interface Reach {
  /** The keys that were named, each once. */
  readonly keys: readonly string[]
  /** Keys that the pattern matched, or that had the tags: so many as are told at most. */
  readonly matched: readonly string[]
  /** Keys that were named, and entries that were matched: what is both counts once, among those in `matched`. */
  readonly count: number
  /** What is named beside keys. */
  readonly wide: Wide
}

export interface Wide {
  readonly tags?: readonly string[]
  readonly pattern?: Pattern
}

export function isWide({ tags, pattern }: Wide): boolean {
  return tags !== undefined || pattern !== undefined
}

/** The same for a request and a dry run. */
export async function reachOf(view: Cache, named: Naming, signal?: AbortSignal): Promise<Reach> {
  const { tags = [], pattern, among } = named
  if (pattern !== undefined && among !== undefined) {
    const keys = await view.matching(pattern, [...new Set(among)])
    return { keys, wide: {}, matched: keys, count: keys.length }
  }
  const keys = new Set(named.keys)
  const wide = { ...(tags.length > 0 ? { tags } : {}), ...(pattern === undefined ? {} : { pattern }) }
  const { sample, count } = isWide(wide)
    ? await view.count({ ...wide, sampleMax: MATCHED_MAX, ...(signal ? { signal } : {}) })
    : { sample: [], count: 0 }
  const twice = sample.filter((key) => keys.has(key)).length
  return { keys: [...keys], wide, matched: sample, count: keys.size + count - twice }
}
