import { AsyncLocalStorage } from 'node:async_hooks'
import type { Reading } from '../source.js'
import type { Fill } from './fill.js'

const storage = new AsyncLocalStorage<Fill>()
let running = 0

// Before Node 24 an AsyncLocalStorage in use makes every promise of the process slower, so it is on only while fills run.
let isCostly = Number(process.versions.node.split('.')[0]) < 24

/** Runs a loader so that what it reads is gathered by `fill`. Call `leave` when the loader has ended. */
export function enter<Result>(fill: Fill, load: () => Result): Result {
  running++
  return storage.run(fill, load)
}

export function leave(): void {
  if (--running === 0 && isCostly) storage.disable()
}

/** The fill whose loader this code runs in. Costs one comparison when no fill runs. */
export function currentFill(): Fill | undefined {
  if (running === 0) return undefined
  const fill = storage.getStore()
  return fill === undefined || fill.isEnded ? undefined : fill
}

/** From now on code is found that goes on after its loader has ended (`endedReading`), at the cost that `isCostly` avoids. */
export function watchEnded(): void {
  isCostly = false
}

/** The fill in whose context this code runs though its loader has ended: somebody did not await it. */
export function endedReading(): Reading | undefined {
  const fill = storage.getStore()
  return fill?.isEnded ? fill : undefined
}

/** The fill whose loader this code runs in, as sources see it: for wrapped clients that are not handed a context. */
export function currentReading(): Reading | undefined {
  return currentFill()
}
