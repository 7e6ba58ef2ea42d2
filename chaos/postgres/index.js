import { byLooking, byTriggers } from './definitions.js'
import { dropPublication, dropSlots, loseSlots } from './gaps.js'
import { promote, restore } from './history.js'
import { freeze } from './lag.js'
import { large } from './large.js'
import { restartFast, restartImmediate } from './restart.js'
import { takeover } from './takeover.js'

/**
 * All scenarios. Each has a `title`, `staleMs` (the T of Stale(T)), `setup(scale)` for what `Load.start` is given, and
 * `run(load, report, scale)`, which injects the fault while the load runs and measures what it measures.
 */
export const scenarios = [
  restartFast,
  restartImmediate,
  dropSlots,
  loseSlots,
  dropPublication,
  freeze,
  promote,
  restore,
  byLooking,
  byTriggers,
  large,
  takeover,
]
