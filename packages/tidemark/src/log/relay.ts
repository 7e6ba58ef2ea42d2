import type { TidemarkError } from '../errors.js'
import type { TargetChange } from './change.js'
import type { Log, Probe } from './log.js'
import type { RequestedPosition } from './position.js'

/**
 * Carries what one process, the leader, reads from the source's log to all others, the followers, so that the source sends its log once.
 * Positions decide what is missing, never clocks or terms: an old leader that wakes up, or two at once, are harmless.
 */
export interface Relay {
  /**
   * The leader's log, unchanged for its follower; what it delivers is relayed while `isLeading()`. Relaying never holds it up.
   * Close it instead of the log.
   */
  lead(log: Log, isLeading: () => boolean): Log
  /** The log of a follower: what the leader relays. It proves for itself, by its own connection to the source, what can be seen. */
  follow(source: RelaySource): Log
}

/** A follower's own connection to the source, without the source's log. */
export interface RelaySource {
  /**
   * From now on only this history of the source answers. Resolves undefined; or, where the address leads to another one or this process
   * follows another part of it, why this log is not its own, in words.
   *
   * @param epoch  as the leader's log names it
   * @param name  the same (`Log.name`)
   * @param broken  told when the source finds out by itself that the log can't be believed any more
   */
  pin(epoch: string, name: string | undefined, broken: (reason: TidemarkError) => void): Promise<string | undefined>
  /** As `Log.probe`. */
  probe(): Promise<Probe>
  /** As `Log.append`: writes into the source's log, from where the leader relays it. */
  append(change: TargetChange): Promise<void>
  /** As `Log.visible`. */
  visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean>
  /** The id of a transaction of our own, written now: all that committed before has a lower one. */
  ownTransaction(): Promise<number>
  /** Writes something that moves the log's end past all that is flushed now, so that the leader has something to relay. */
  beat(): Promise<void>
  close(): Promise<void>
}
