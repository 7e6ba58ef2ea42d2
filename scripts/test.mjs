// `npm test`: every test, from a bare clone. The last line has the counts; the exit is non-zero if a test failed, or was
// skipped for any other reason than a program that this run has named as missing. Parts of paths limit what vitest runs:
// npm test -- packages/embedded
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endLeftovers } from './leftovers.mjs'
import { fetchPostgres13 } from './postgres13.mjs'
import { findMissing, postgres15 } from './programs.mjs'
import { checkPublished } from './published.mjs'
import { runVitest } from './vitest.mjs'
import { build, checkNode, exitOf, install, main, root } from './workspace.mjs'

main(async () => {
  checkNode()
  await install()
  const missing = await findMissing()
  await build()
  // All that tests make is below one folder, which the accounts that they use must be able to enter.
  const temporary = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  chmodSync(temporary, 0o1777)
  const env = { ...process.env, TMPDIR: temporary, TIDEMARK_LACKS: missing.join(',') }
  try {
    report([
      await checkTypes(env),
      await runVitest(env, temporary, missing, process.argv.slice(2)),
      await runOnPostgres15(env, temporary, missing, process.argv.slice(2)),
      await runOnPostgres13(env, temporary, missing, process.argv.slice(2)),
      await checkPublished(temporary),
      await endLeftovers(temporary),
    ])
  } finally {
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
})

/** The types of the tests, and the tests of types (`*.test-d.ts`). Counts as one test. */
async function checkTypes(env) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const code = await exitOf(process.execPath, [tsc, '-p', 'tsconfig.test.json', '--pretty', 'false'], { env })
  return code === 0
    ? { passed: 1, failed: 0, skipped: 0, problems: [] }
    : { passed: 0, failed: 1, skipped: 0, problems: ['The tests do not compile, or a test of types fails; see above'] }
}

/** What follows PostgreSQL is tested on an older server too. */
async function runOnPostgres15(env, temporary, missing, filters) {
  const own =
    filters.length === 0
      ? ['packages/postgres/test/']
      : filters.filter((filter) => filter.startsWith('packages/postgres'))
  if (own.length === 0 || missing.includes('postgresql-15')) return { passed: 0, failed: 0, skipped: 0, problems: [] }
  console.log('What depends on the server, on PostgreSQL 15:')
  // What takes long and is about our side of the line is not done twice.
  const same = [
    'shared-slot-*',
    'journal-*',
    'lost',
    'orm/*',
    'consistency',
    'ended-connections',
    'wrapped-pool',
    'clients',
    'refused-queries',
  ]
  const filtered = filters.length === 0 ? same.map((name) => `--exclude=**/packages/postgres/test/${name}.test.ts`) : []
  return runVitest({ ...env, TIDEMARK_TEST_POSTGRES: postgres15 }, temporary, missing, [...own, ...filtered])
}

/** What differs on the oldest server that can be followed: it has no messages in its log. */
async function runOnPostgres13(env, temporary, missing, filters) {
  const nothing = { passed: 0, failed: 0, skipped: 0, problems: [] }
  if (filters.length > 0) return nothing
  const postgres13 = fetchPostgres13(temporary)
  if (!postgres13) {
    console.log('The registry has no PostgreSQL 13 for this machine: it is not tested.')
    return nothing
  }
  console.log('What differs, on PostgreSQL 13:')
  const files = [
    'catalogue',
    'definitions',
    'late-table',
    'log-contract',
    'message-table',
    'messages',
    'progress',
    'replay',
    'rows',
    'source',
    'start',
  ]
  const own = files.map((name) => `packages/postgres/test/${name}.test.ts`)
  return runVitest({ ...env, TIDEMARK_TEST_POSTGRES: postgres13 }, temporary, missing, own)
}

function report(results) {
  const sum = (what) => results.reduce((total, result) => total + result[what], 0)
  const problems = results.flatMap((result) => result.problems)
  for (const problem of problems) console.log(problem)
  if (problems.length > 0) process.exitCode = 1
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''
  console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped}`)
  if (sum('failed') > 0) process.exitCode = 1
}
