import type { Dependent } from '../dependencies/lookup.js'

/** What is known of an entry when it is stored. */
export interface Fill extends Dependent {
  /** The position as of which the value is valid. */
  readonly lsn: number
  /** Monotonic ms. */
  readonly filledAt: number
  /** How long it is fresh, in ms after `filledAt`; `Infinity` if it does not expire by time. */
  readonly lifetimeMs: number
  /** The approximate size of key and value. */
  readonly bytes: number
  /** The value holds what cannot be frozen (binary data): each reader gets a copy. Default: all share it. */
  readonly copied?: boolean
}
