import { MemoryL2 } from '../memory-l2.js'
import { Chance } from './chance.js'
import { Database, TABLES } from './database.js'
import { drawFaults, type Faults } from './faults.js'
import { Oracle, Violation } from './oracle.js'
import { SimClock } from './sim-clock.js'
import type { SimLog } from './sim-log.js'

export const MAX_SILENCE_MS = 300

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
  loads = 0
  asked = 0
  violation: Violation | undefined

  constructor(seed: number, isTraced: boolean) {
    this.chance = new Chance(seed)
    this.trace = isTraced ? [] : undefined
    this.faults = drawFaults(this.chance, TABLES)
    this.clock = new SimClock(this.chance)
    this.database = new Database(this.faults.hasOldValues)
    this.oracle = new Oracle(this.database, MAX_SILENCE_MS)
    const { stampsMax, shapesMax } = this.faults
    this.l2 = new MemoryL2({ stampsMax, shapesMax, now: () => this.clock.trueMs })
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
