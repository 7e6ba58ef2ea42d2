// `npm test`: every test, from a bare clone. The last line has the counts; the exit is non-zero if a test failed, or was
// skipped for any other reason than a program that this run has named as missing. Parts of paths limit what vitest runs:
// npm test -- packages/embedded
// One older version of PostgreSQL alone, with all that depends on the server: npm test -- --postgres 16
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endLeftovers } from './leftovers.mjs'
import { olderVersions, onOlderPostgres } from './older-postgres.mjs'
import { findMissing } from './programs.mjs'
import { checkPublished } from './published.mjs'
import { runVitest } from './vitest.mjs'
import { build, checkNode, exitOf, install, main, root, ScriptError } from './workspace.mjs'

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
    const { version, filters } = parse(process.argv.slice(2))
    report(
      version === undefined
        ? [
            await checkTypes(env),
            await runVitest(env, temporary, missing, filters),
            ...(await runOnOlder(olderVersions, env, { filters, isWhole: false, missing, temporary })),
            await checkPublished(temporary),
            await endLeftovers(temporary),
          ]
        : [
            ...(await runOnOlder([version], env, { filters, isWhole: true, missing, temporary })),
            await endLeftovers(temporary),
          ],
    )
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

function parse([first, second, ...rest]) {
  if (first !== '--postgres') return { version: undefined, filters: process.argv.slice(2) }
  if (!olderVersions.includes(second)) throw new ScriptError(`--postgres takes one of ${olderVersions.join(', ')}.`)
  return { version: second, filters: rest }
}

/** What follows PostgreSQL is tested on older servers too. */
async function runOnOlder(versions, env, options) {
  const results = []
  for (const version of versions) {
    const found = onOlderPostgres(version, options)
    if (found === undefined) continue
    console.log(`What depends on the server, on PostgreSQL ${version}:`)
    const own = { ...env, TIDEMARK_TEST_POSTGRES: found.binaries, TIDEMARK_TEST_EXCLUDE: found.exclude.join(',') }
    results.push(await runVitest(own, options.temporary, options.missing, found.filters))
  }
  return results
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
