import type { Frame } from './frame.js'

/** A client of one entry, as its hub sees it: server-sent events, or a subscription of a socket. */
export interface Sink {
  /** Aborted when the client has gone, whoever ended it. */
  readonly signal: AbortSignal
  /** Calls `roomed` whenever the client has taken something. */
  onRoom(roomed: () => void): void
  /**
   * Sends a state. `base` is the one that the client has, where it was sent here: what leads on from it may be sent instead.
   *
   * @returns false if there is no room; the newest is then offered again
   */
  state(frame: Frame, base: Frame | undefined): boolean
  /** The client came with what is the state now. */
  unchanged(): void
  /** There is no state yet, for this reason, which passes. */
  waiting(error: unknown): void
  /** There will never be one. */
  refuse(error: unknown, retryMs: number): void
  /** The client is to come back. */
  end(retryMs: number): void
}
