import type { Follower } from '../follow/follower.js'
import type { Keyspace } from './keyspace.js'

/** What a fill belongs to: the flight of one key, or the batch that loads many. */
export interface Loading {
  readonly follower: Follower
  readonly space: Keyspace
  /** What is loaded, for people. */
  readonly text: string
  readonly signal: AbortSignal
  /** Those whose results its loader waits for, and how often. */
  readonly waitsFor: Map<Loading, number>
  readonly isWaiting: boolean
  /** What ends when it is stopped: its loader's reads. A signal for each would cost more than the rest of them. */
  stops: Set<(reason: unknown) => void> | undefined
  /** Tells a developer something, once for this definition. */
  notice(code: string, message: string): void
}
