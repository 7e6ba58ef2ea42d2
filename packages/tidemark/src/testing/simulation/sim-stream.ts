import type { RelayRecord } from '../../relay/record.js'

interface Entry {
  readonly id: number
  readonly record: RelayRecord
}

/** What carries a relay, as a stream of Redis does: it may be trimmed, emptied, or put back to an earlier state. */
export class SimStream {
  #entries: readonly Entry[] = []
  #nextId = 1
  #saved: readonly Entry[] = []
  /** Another one after it was emptied or put back: who reads can tell. */
  history = 1

  get newest(): number {
    return this.#nextId - 1
  }

  append(records: readonly RelayRecord[]): void {
    this.#entries = [...this.#entries, ...records.map((record) => ({ id: this.#nextId++, record }))]
  }

  after(id: number): Entry | undefined {
    return this.#entries.find((entry) => entry.id > id)
  }

  /** From the newest back. */
  async *back(): AsyncGenerator<RelayRecord> {
    for (const { record } of [...this.#entries].reverse()) yield record
  }

  /** The oldest leave. */
  trim(kept: number): void {
    this.#entries = kept === 0 ? [] : this.#entries.slice(-kept)
  }

  flush(): void {
    this.#entries = []
    this.history++
  }

  save(): void {
    this.#saved = this.#entries
  }

  restore(): void {
    this.#entries = this.#saved
    this.#nextId = (this.#entries.at(-1)?.id ?? 0) + 1
    this.history++
  }
}
