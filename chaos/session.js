import { parsePosition } from 'tidemark'

/** So many keys are read by sessions. */
const KEYS = 10

/**
 * A client that carries the position of its last answer, wherever it goes: whichever process it asks, no key may go back to an older
 * version. It is handed on from process to process.
 */
export class Session {
  #position
  #versions
  #next = 0
  #reads = 0
  #back = 0
  #behind = 0

  constructor({ position, versions = [] } = {}) {
    this.#position = position
    this.#versions = versions
  }

  /** The options of its next read. */
  get asked() {
    return { shows: true, ...(this.#position !== undefined && { minPosition: this.#position }) }
  }

  /** Reads the next of its keys. Never rejects: what fails or cannot be known tells nothing. */
  async read(ask) {
    const key = this.#next++ % KEYS
    // What others of the session learn meanwhile is not what this read carried.
    const least = this.#versions[key] ?? 0
    try {
      const { value, shows } = await ask(key)
      if (shows === undefined) return
      const version = Number(value?.version ?? -1)
      this.#reads++
      if (version < least) this.#back++
      if (isLater(shows, this.#position)) this.#position = shows
      this.#versions[key] = Math.max(version, this.#versions[key] ?? 0)
    } catch {
      this.#behind++
    }
  }

  /** What happened since the last report, and what to hand on. */
  report() {
    const { reads, back, behind } = { reads: this.#reads, back: this.#back, behind: this.#behind }
    this.#reads = this.#back = this.#behind = 0
    return { reads, back, behind, session: { position: this.#position, versions: this.#versions } }
  }
}

/** Reads may end in another order than they began. */
function isLater(position, other) {
  if (other === undefined) return true
  const [a, b] = [parsePosition(position), parsePosition(other)]
  return a.epoch !== b.epoch || a.lsn > b.lsn
}
