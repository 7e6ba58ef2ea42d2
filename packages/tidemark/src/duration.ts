import type { Duration } from './definition.js'
import { OptionError } from './errors.js'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const FORM = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/** A duration in ms. @throws OptionError (`TIDEMARK_OPTION`) naming the option. */
export function milliseconds(duration: Duration, option: string): number {
  if (typeof duration === 'number') {
    if (duration >= 0) return duration
  } else {
    const parts = FORM.exec(duration)
    if (parts) return Number(parts[1]) * UNITS[parts[2] as keyof typeof UNITS]
  }
  throw new OptionError(
    `${option} must be a duration: milliseconds >= 0, or a number with ms, s, m, h or d, like '30s'.`,
  )
}
