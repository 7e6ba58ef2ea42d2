/** Latencies of so many requests are looked at for percentiles. */
const RECENT_MAX = 1_000

export type Kind = 'keys' | 'pattern'

/** What was asked for and what came of it, since the start. */
export class Tally {
  readonly requests: Record<Kind, number> = { keys: 0, pattern: 0 }
  /** Keys that were named or matched. */
  keys = 0
  /** Entries that went from this process's memory. */
  removed = 0
  failed = 0
  /** Asked again under the same request id, and answered as before. */
  repeated = 0
  /** Only looked at, and only in this process. */
  dryRuns = 0
  local = 0
  lastAt: number | undefined
  #totalMs = 0
  readonly #recent: number[] = []
  #next = 0

  done(kind: Kind, keys: number, removed: number, ms: number, wall: number): void {
    this.requests[kind]++
    this.keys += keys
    this.removed += removed
    this.lastAt = wall
    this.#totalMs += ms
    this.#recent[this.#next] = ms
    this.#next = (this.#next + 1) % RECENT_MAX
  }

  get total(): number {
    return this.requests.keys + this.requests.pattern
  }

  get averageMs(): number {
    return this.total === 0 ? 0 : this.#totalMs / this.total
  }

  /** Of the last 1,000 requests; 0 if there was none. */
  percentileMs(part: number): number {
    const sorted = [...this.#recent].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  }
}
