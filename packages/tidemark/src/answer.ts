/**
 * fresh: nothing in the log up to the moment of asking contradicts the value. stale: expired, served by grace.
 * fenced: loaded just now, but whether it shows all of the log can't be known; `explain` says why.
 */
export type State = 'fresh' | 'stale' | 'fenced'

/** Where an answer came from: this process's memory, the shared tier, the loader, or another read's loader run. */
export type From = 'l1' | 'l2' | 'source' | 'joined'

/** A value, and what is known of it. */
export interface Answer<Value> {
  readonly value: Value
  readonly state: State
  readonly from: From
  /** The position as of which the value holds, as text; undefined where that can't be known (`fenced`). */
  readonly asOf: string | undefined
  /** When its fill ended: wall-clock milliseconds since 1970. */
  readonly filledAt: number
}
