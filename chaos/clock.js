/** Milliseconds of the machine's monotonic clock, which all of its processes share. */
export function now() {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}
