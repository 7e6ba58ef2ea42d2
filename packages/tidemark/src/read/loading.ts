import type { Follower } from '../follow/follower.js'
import type { Line } from '../line.js'
import type { Keyspace } from './keyspace.js'
import type { NestedReader } from './reader.js'

/** What a fill belongs to: the flight of one key, or the batch that loads many. */
export interface Loading {
  readonly follower: Follower
  readonly space: Keyspace
  /** What is loaded, for people. */
  readonly text: string
  readonly signal: AbortSignal
  /** What its loader reads, and waits for. They end when it is stopped: a signal for each would cost more than the rest of them. */
  readonly reads: Line<NestedReader>
  /** The load of many that this one is part of, while it is. */
  readonly batch: Loading | undefined
  /** Tells a developer something, once for this definition. */
  notice(code: string, message: string): void
}
