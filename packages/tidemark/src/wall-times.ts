import type { Core } from './core.js'

export interface WallTimes {
  /** Milliseconds since 1970. */
  readonly filledAt: number
  /** undefined: never. */
  readonly expiresAt: number | undefined
}

/** When an entry was filled and when it expires, by the wall clock: L1 counts by the monotonic one. */
export function wallTimesOf({ l1, clock }: Pick<Core, 'l1' | 'clock'>, slot: number): WallTimes {
  const toWall = clock.wall() - clock.now()
  const expiresAt = l1.expiresAtOf(slot)
  return {
    filledAt: Math.round(l1.filledAtOf(slot) + toWall),
    expiresAt: expiresAt === Number.POSITIVE_INFINITY ? undefined : Math.round(expiresAt + toWall),
  }
}
