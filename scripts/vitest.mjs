// Runs vitest once and counts from its JSON report, which knows more than its exit code.
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { exitOf, root } from './workspace.mjs'

/**
 * @param env        the environment of the tests
 * @param temporary  a folder for the report
 * @param missing    names of missing programs: tests may be skipped that say "(needs <name>)"
 * @param filters    parts of paths, to run some files only
 */
export async function runVitest(env, temporary, missing, filters) {
  const report = join(temporary, 'vitest.json')
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters]
  const code = await exitOf(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), ...args], { env })
  if (!existsSync(report))
    return { passed: 0, failed: 1, skipped: 0, problems: [`vitest ended without a report (${code})`] }
  const result = count(JSON.parse(readFileSync(report, 'utf8')), missing)
  if (code !== 0 && result.failed === 0) {
    result.failed = 1
    result.problems.push(`vitest failed (${code}) for an error outside of any test; see above`)
  }
  return result
}

function count({ testResults }, missing) {
  const result = { passed: 0, failed: 0, skipped: 0, problems: [] }
  for (const file of testResults) {
    const failedBefore = result.failed
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === 'passed') result.passed += 1
      else if (status === 'failed') {
        result.failed += 1
        result.problems.push(`Failed: ${fullName} (${relative(root, file.name)}): ${short(failureMessages?.[0])}`)
      } else {
        result.skipped += 1
        const needs = [...fullName.matchAll(/\(needs ([\w-]+)\)/g)].map(([, name]) => name)
        if (!needs.some((name) => missing.includes(name)))
          result.problems.push(`Skipped without a missing program as the reason: ${fullName} (${file.name})`)
      }
    }
    // A file that does not load, or a hook that fails, is no test of its own in the report.
    if (file.status === 'failed' && result.failed === failedBefore) {
      result.failed += 1
      result.problems.push(`Failed as a whole: ${relative(root, file.name)}: ${short(file.message)}`)
    }
  }
  return result
}

/** A failure in one line: the whole of it stands above, where it happened. */
function short(message = '') {
  return stripVTControlCharacters(message).replace(/\s+/g, ' ').trim().slice(0, 400)
}
