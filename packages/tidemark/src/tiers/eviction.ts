/** Which entry leaves when there is no room. Slots are small integers; a policy keeps its state in arrays of their length. */
export interface Eviction {
  /** A slot has a new entry, which nobody has read yet. */
  insert(slot: number): void
  /** The entry was read. Called at each hit: it must inline, and allocate nothing. */
  hit(slot: number): void
  /** Whether the entry was read since this, or the policy itself, last looked. */
  takeHit(slot: number): boolean
  /** Whether the entry was read since room was last made near it. */
  isHot(slot: number): boolean
  /** The slot has no entry any more, or one that must stay. */
  remove(slot: number): void
  /** The slot whose entry should leave next, or -1 if there is none. The caller removes it. */
  victim(): number
  /** Slots below `capacity` may come. */
  resize(capacity: number): void
}
