/** A key inside its space: what tells it from the others there, in whatever type is fastest to look up. */
export type SlotKey = string | number | bigint | boolean | null

/** Entries that no key finds any more. To take a million keys out of a Map one by one moves all that is left of it several times. */
export interface Former {
  /** The number that the space had. */
  readonly id: number
  readonly slots: ReadonlyMap<SlotKey, number>
  /** How many are still in memory. */
  left: number
}

/**
 * The keys of one definition (or of plain `get` keys) in one tenant and session, and the slots of L1 where their entries
 * are. A hit looks a key up here, without building its text.
 */
export class Space {
  slots = new Map<SlotKey, number>()
  /** What was stored before all of it was dropped, and is not yet out of memory. */
  readonly formers: Former[] = []
  /** Its number in the L1 that it was added to; -1 in none. L1 sets it. */
  id = -1

  /** @param text the key's text form, for events and `explain` */
  constructor(
    readonly tenant: string,
    readonly text: (key: SlotKey) => string,
  ) {}
}
