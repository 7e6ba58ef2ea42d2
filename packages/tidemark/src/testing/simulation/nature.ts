import { MemoryL2 } from '../memory-l2.js'
import { Chance } from './chance.js'
import { Database, TABLES } from './database.js'
import { drawFaults, type Faults } from './faults.js'
import { Oracle, Violation } from './oracle.js'
import { SimClock } from './sim-clock.js'
import type { SimLog, SimSlot } from './sim-log.js'
import { SimRelayed } from './sim-relay.js'
import { SimStream } from './sim-stream.js'

export const MAX_SILENCE_MS = 300
const FAULTS = 2 ** 30

/** What all processes of a run have in common: chance, time, the source, L2, and who judges. Every choice is drawn from the seed. */
export class Nature {
  readonly chance: Chance
  readonly faults: Faults
  readonly clock: SimClock
  readonly database: Database
  readonly oracle: Oracle
  readonly l2: MemoryL2
  /** What happened, for a violation's report; undefined when nobody reads it. */
  readonly trace: string[] | undefined
  /** Monotonic time at which each load ended. */
  readonly loadedAt = new Map<number, number>()
  /** The logs of all processes: files are replaced under a stopped server, which nobody follows. */
  readonly logs: SimLog[] = []
  /** What carries the relay, where there is one. */
  readonly stream = new SimStream()
  /** Where the shared slot stands. */
  slot: SimSlot | undefined
  loads = 0
  asked = 0
  violation: Violation | undefined
  /** What L2 had when it was last looked at. */
  #l2Had: { readonly life: object; readonly positions: ReadonlyMap<string, number> } | undefined

  constructor(seed: number, isTraced: boolean) {
    this.chance = new Chance(seed)
    this.trace = isTraced ? [] : undefined
    // Drawn apart, so that one more of them leaves what every seed does as it is.
    this.faults = drawFaults(new Chance(seed + FAULTS), TABLES)
    this.clock = new SimClock(this.chance)
    this.database = new Database(this.faults.hasOldValues)
    this.oracle = new Oracle(this.database, MAX_SILENCE_MS)
    const { stampsMax, shapesMax } = this.faults
    this.l2 = new MemoryL2({ stampsMax, shapesMax, now: () => this.clock.trueMs })
  }

  /** The log of a process among many, where one reads the source's for all. */
  relayedLog(log: SimLog): SimRelayed | undefined {
    if (!this.faults.relays) return undefined
    log.slot = () => this.slot
    const role = this.logs.length === 1 || this.chance.is(0.2) ? 'leader' : 'follower'
    return new SimRelayed(log, this.stream, this.database, this.chance, this.clock, role)
  }

  /** Looks at every entry of L2: while it loses nothing, none is followed by one from before it. */
  inspectL2(): void {
    const { life, positions } = this.l2
    const had = this.#l2Had?.life === life ? this.#l2Had.positions : new Map<string, number>()
    for (const [key, lsn] of positions) {
      const before = had.get(key)
      if (before !== undefined && lsn < before)
        this.judge(() => {
          throw new Violation(`l2: the entry of ${key} went back from ${before} to ${lsn}`)
        })
    }
    this.#l2Had = { life, positions }
  }

  note(text: () => string): void {
    this.trace?.push(`${this.clock.trueMs.toFixed(0)} ms: ${text()}`)
  }

  /** Runs what must not fail; a violation ends the run. */
  judge(run: () => void): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.violation ??= error
      this.note(() => `VIOLATION ${error.message}`)
    }
  }
}
