/** The largest 32-bit float that is no greater: an entry must not outlive its expiry by a rounding. */
export function floored(ms: number): number {
  // So small a float could only be rounded up.
  if (ms < 2 ** -100) return 0
  const rounded = Math.fround(ms)
  return rounded <= ms ? rounded : Math.fround(ms - ms * 2 ** -23)
}
