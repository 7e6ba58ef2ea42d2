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
  /**
   * Where the call asked for it (`shows: true`), and it is fresh: a position that covers all that the value shows. A value that was loaded just now may show commits
   * that this process has not applied: they lie after `asOf`, and not after this. Carried on as `minPosition`, no read sees anything older, in whatever
   * process. Absent where the source did not say in time.
   */
  readonly shows?: string
  /** When its fill ended: wall-clock milliseconds since 1970. */
  readonly filledAt: number
}
