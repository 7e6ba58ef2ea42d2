/** Programs that some tests need and that npm cannot install. */
export type Program = 'chromium' | 'curl' | 'psql'

/**
 * Whether `npm test` found a program missing and may not install it. A suite that needs one says so in its name, so
 * that the run can tell an expected skip from any other: `describe.skipIf(lacks('psql'))('psql (needs psql)', …)`.
 */
export function lacks(program: Program): boolean {
  return (process.env.TIDEMARK_LACKS ?? '').split(',').includes(program)
}
