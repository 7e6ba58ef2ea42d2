import type { Snapshot } from '../log/log.js'

/** Which transactions new snapshots of the source are sure to show, so that positions can tell it to others. */
export class Seen {
  /** Those with a lower id; 0 while that is not known, or where the log has none. */
  below = 0
  /** Of those up to this id it is not known whether they lie before the place where the log was taken up, unseen. */
  hiddenTo: number
  readonly #isLocal: boolean

  /** @param isLocal  the log has no transactions */
  constructor(isLocal: boolean) {
    this.#isLocal = isLocal
    this.hiddenTo = isLocal ? -1 : Number.POSITIVE_INFINITY
  }

  /** The log was taken up anew. */
  started(): void {
    this.below = 0
    if (!this.#isLocal) this.hiddenTo = Number.POSITIVE_INFINITY
  }

  /** @param isStartSeen  the snapshot shows all that lies before the start */
  probed(snapshot: Snapshot | undefined, isStartSeen: boolean): void {
    if (snapshot && snapshot.xmin > this.below) this.below = snapshot.xmin
    // All that lies before the start has lower ids than those that begin now.
    if (isStartSeen && this.hiddenTo === Number.POSITIVE_INFINITY) this.hiddenTo = snapshot ? snapshot.xmax - 1 : -1
  }
}
