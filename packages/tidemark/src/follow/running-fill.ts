import type { FencedFill } from '../fence/fence.js'
import type { InLine } from '../line.js'

/** A fill that runs, as the follower tracks it. */
export class RunningFill implements FencedFill, InLine<RunningFill> {
  readonly began: number
  /** Monotonic ms. */
  readonly beganAt: number
  readonly t0: number
  readonly generation: number
  readonly lagFrom: number
  /** Lowered when a replica was read. */
  seenTo = Number.POSITIVE_INFINITY
  before: RunningFill | undefined
  after: RunningFill | undefined

  constructor(began: number, beganAt: number, t0: number, generation: number, sourceLagMs: number) {
    this.began = began
    this.beganAt = beganAt
    this.t0 = t0
    this.generation = generation
    this.lagFrom = sourceLagMs > 0 ? beganAt - sourceLagMs : Number.POSITIVE_INFINITY
  }
}
