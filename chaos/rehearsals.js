import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './clock.js'

const HARD_TIMEOUT_MS = 400
const THROWS_AFTER_MS = 50
const SAMPLE_ONE_IN = 500

/** What a process does for a scenario beside the load. */
export class Rehearsals {
  #items
  #broken
  #runs = []

  constructor(cache, items, troubleOf) {
    this.#items = items
    this.#broken = cache.define(
      'broken',
      async ({ sql, signal }, id) => {
        const start = now()
        try {
          const row = await sql.one`select tenant, version from items where id = ${id}`
          await suffer(troubleOf().loader, signal)
          return row
        } finally {
          this.#runs.push([start, now()])
        }
      },
      { hardTimeout: HARD_TIMEOUT_MS },
    )
  }

  /** Many ask at once for what cannot be loaded, or can. Returns what they got, and when loaders ran. */
  async crowd({ key, callers }) {
    this.#runs = []
    const got = {}
    const count = (what) => {
      got[what] = (got[what] ?? 0) + 1
    }
    const ask = () =>
      this.#broken.ask(key).then(
        ({ from }) => count(from),
        (error) => count(error.code ?? error.message),
      )
    const began = now()
    await Promise.all(Array.from({ length: callers }, ask))
    const tookMs = now() - began
    // One that goes on after its time is over.
    await sleep(HARD_TIMEOUT_MS)
    return { got, tookMs, runs: this.#runs, isKept: this.#broken.peek(key) !== undefined }
  }

  /** Reads one key as fast as it can, for so long. */
  async hot({ key, ms }) {
    const item = this.#items[key % this.#items.length]
    const end = now() + ms
    const sample = []
    let count = 0
    while (now() < end) {
      for (let i = 0; i < 100; i++) {
        const start = now()
        const { value, state, from } = await item.ask(key)
        if (count++ % SAMPLE_ONE_IN === 0) sample.push([key, Number(value.version), start, state, from, now()])
      }
      // What else the process has to do.
      await new Promise(setImmediate)
    }
    return { count, sample }
  }
}

async function suffer(how, signal) {
  if (how === 'throws') {
    await sleep(THROWS_AFTER_MS)
    throw new Error('as asked')
  }
  if (how === 'hangs')
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
  if (how === 'late') await sleep(1.5 * HARD_TIMEOUT_MS)
}
