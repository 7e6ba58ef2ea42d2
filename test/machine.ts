/** Programs, and the right to mount a file system, that some tests need and that npm cannot install. */
export type Program =
  | 'chromium'
  | 'curl'
  | 'haproxy'
  | 'mount'
  | 'postgresql-15'
  | 'psql'
  | 'redis-server'
  | 'valkey-server'
  | 'zsh'

/**
 * Whether `npm test` found a program missing and may not install it. A suite that needs one says so in its name, so
 * that the run can tell an expected skip from any other: `describe.skipIf(lacks('psql'))('psql (needs psql)', …)`.
 */
export function lacks(program: Program): boolean {
  return (process.env.TIDEMARK_LACKS ?? '').split(',').includes(program)
}

/**
 * Whether the tests run on a PostgreSQL older than this: `npm test` runs those of packages/postgres on the embedded one, and on
 * Debian's 15. What an older server does not know is not tested there.
 */
export function isBefore(major: number): boolean {
  const folder = process.env.TIDEMARK_TEST_POSTGRES
  return folder !== undefined && Number(/(\d+)\/bin$/.exec(folder)?.[1]) < major
}
