import type { World } from './world.js'

/** One thing that may happen next. */
export interface Step {
  readonly name: string
  /** How often it is tried, against the others. */
  readonly weight: number
  isEnabled(world: World): boolean
  run(world: World): void | Promise<void>
}

export function step(name: string, weight: number, isEnabled: Step['isEnabled'], run: Step['run']): Step {
  return { name, weight, isEnabled, run }
}
