import type { Dependency } from '../dependencies/dependency.js'

/**
 * The tier that processes share. It is never the authority: it may lose anything at any moment, go back to an older state, or not
 * answer, and all that costs is misses. All of its state is reached by one atomic step per call:
 *
 * - the *epoch* of the log that it follows, and `m`, its own tidemark: every change up to there is applied in it;
 * - *shapes*, each with `since`, the position from which its stamps count, and all of them together with a random id, drawn anew
 *   whenever one is added;
 * - *stamps*: (shape, name) → the last position at which a change touched what has it. Dropped oldest first, by a limit, which raises
 *   the shape's `since` to the position of what was dropped; never by time;
 * - *entries*, each with the position as of which it is valid, and the stamps that it depends on.
 *
 * Positions are numbers that only grow within an epoch; those of different epochs are not ordered. Every call may reject, which counts
 * as a miss; none may take longer than the implementation's own deadline.
 */
export interface L2 {
  /**
   * The entry under the key, if it is still valid here, and where L2 stands; both as of one moment. Where there is none, `ask` asks for the
   * lease of the key too, as `lease` does: so a miss costs no second call.
   */
  read(key: string, ask?: L2Ask): Promise<L2Read>
  /** The same for many keys, in their order, each as of one moment; undefined where one could not be read. Absent: they are read one by one. */
  readAll?(keys: readonly string[], ask?: L2Ask): Promise<(L2Read | undefined)[]>
  /**
   * Stores an entry. Refused if the epoch is another one than L2's, if its position lies before the `since` of one of its shapes, if
   * one of its stamps is later than its position, or if the entry there has a later one. The first fill of a shape registers it, with
   * `since = m`. So nothing is stored before a batch has said where the log stands. Where there are as many shapes as there may be, the stamps
   * whose shapes are missing are replaced by their wide ones; of those there is room for as many again.
   */
  fill(key: string, entry: L2Fill): Promise<'stored' | 'refused'>
  /** The same for many entries, in their order; undefined where one could not be stored. Absent: they are stored one by one. */
  fillAll?(entries: readonly L2Keyed[]): Promise<('stored' | 'refused' | undefined)[]>
  /**
   * Applies what happened in the log between `prev` and `end`:
   *
   * - another epoch than L2's, or none yet, or `m < prev` with `mayReset`: L2 has lost something. It forgets all that it holds, and
   *   stands at `end`;
   * - `m < prev` else: nothing is done, and the answer is `behind`;
   * - `m >= end`: nothing to do, `applied`;
   * - `shapes` is not the id of the shapes that it has: nothing is done; the answer is `shapes`, with all of them;
   * - else each mark with a position after `m` sets its stamp, or raises the `since` of its shape; entries that are older than
   *   one of their stamps, or than a `since`, are never read again, but that an expiry leaves the entry, as expired; a mark with a pattern is kept beside its shape, for those who read
   *   older entries (a limited number, the oldest leave first and raise `since`); then `m = end`.
   */
  invalidate(batch: L2Batch): Promise<L2Answer>
  /**
   * Asks to be the one process that loads the key, for so many ms: whether nobody else is. Asked again it lasts anew. It may be lost, or
   * be given twice: one who loads needlessly does no harm. Absent: every process loads for itself.
   *
   * @param holder  names who asks; a text of at most 64 characters
   */
  lease?(key: string, holder: string, ms: number): Promise<boolean>
  /** Others may load the key. Nothing happens if somebody else holds it. */
  release?(key: string, holder: string): Promise<void>
  /**
   * Takes out the entries under these keys that are older than a change which dropped them, and says how many there were: for those who want
   * to know, as a mark of the change keeps them from being read already. Undefined where L2 stands in another epoch. Absent: it does not count.
   */
  remove?(keys: readonly string[], before: L2Place): Promise<number | undefined>
  /** Lets go of connections and files that are its own. */
  close(): Promise<void>
}

/** A position of an epoch. */
export interface L2Place {
  readonly epoch: string
  readonly lsn: number
}

/** Who wants to load a key, and for how many ms. */
export interface L2Ask {
  readonly holder: string
  readonly ms: number
}

/** Where L2 stands; undefined while no batch has said so. */
export interface L2Tide {
  readonly epoch: string
  readonly m: number
}

export interface L2Read {
  readonly tide: L2Tide | undefined
  /** Of that epoch. */
  readonly entry: L2Entry | undefined
  /** An expiry is later than the entry: it is stale, and was not dropped. */
  readonly isExpired?: boolean
  /** Of marks of its shapes that are later than the entry: it is stale if one of them means it. Absent: there are none. */
  readonly patterns?: readonly string[]
  /** Of who asked and found nothing: whether nobody else loads. Absent where that could not be said at the same time. */
  readonly isLeased?: boolean
}

export interface L2Entry {
  /** As it was kept: what can't be brought back as what it was is not stored. */
  readonly value: unknown
  /** The position as of which it is valid. */
  readonly lsn: number
  readonly dependencies: readonly Dependency[]
  /**
   * How long ago its fill ended, and how long it is still fresh, in ms; Infinity if it does not expire by time. Time passes by L2's own
   * clock, one for all: those of the processes may be apart. An entry whose time is over is none.
   */
  readonly ageMs: number
  readonly remainingMs: number
}

export interface L2Fill extends L2Entry {
  readonly epoch: string
  /** What a mark in a batch names it by; at least one. */
  readonly stamps: readonly L2Stamp[]
  /** Who lets go of the lease of the key, in the same step, if the entry is stored; as `release` does it. */
  readonly holder?: string
}

/** An entry for a key. */
export interface L2Keyed {
  readonly key: string
  readonly fill: L2Fill
}

/** Texts without a meaning to L2, of up to a few hundred characters each. */
export interface L2Stamp {
  readonly shape: string
  readonly name: string
  /** Is touched whenever this one is, and by more; its shape is one of few. Instead of it where there is no room for another shape. */
  readonly wide?: L2Stamp
}

export interface L2Batch {
  readonly epoch: string
  readonly prev: number
  readonly end: number
  /** The id of the shapes that the marks were made for; undefined if none are known. */
  readonly shapes: string | undefined
  /** In the order of their positions, all in `(prev, end]`. */
  readonly marks: readonly L2Mark[]
  readonly mayReset: boolean
}

export interface L2Mark {
  readonly lsn: number
  readonly shape: string
  /** undefined: all that has the shape, or what the pattern means. */
  readonly name: string | undefined
  /** With a name: what is older is stale, but stays for grace. Fills that are older are refused all the same. */
  readonly isExpiry?: boolean
  /** What L2 can't judge: who reads does. A text of at most 1,000 characters. */
  readonly pattern?: string
}

export interface L2Answer {
  readonly state: 'applied' | 'behind' | 'shapes'
  readonly m: number
  /** The id of the shapes that L2 has now. */
  readonly shapesId: string
  /** All of them, where the answer is `shapes`. */
  readonly shapes?: readonly string[]
}
