import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { byName, describeImport, importsOf, packageName } from './modules.js'
import { isTest, manifests, sourceFiles } from './repository.js'

/** What the sources of each package may import of the others: the arrows point one way. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  tidemark: [],
  embedded: ['tidemark'],
  postgres: ['tidemark'],
  client: [],
  lmdb: ['tidemark'],
  redis: ['tidemark'],
  trees: ['tidemark', 'postgres'],
  server: ['tidemark', 'postgres', 'embedded', 'redis', 'trees'],
  cli: ['tidemark', 'postgres', 'embedded', 'server'],
}

/** In the library, what is below never imports what is above: reads and changes use the parts, not the reverse. */
const below = ['fence', 'dependencies', 'tiers', 'log']
const above = ['read', 'follow', 'streams', 'l2']

const packageFolder = (path: string) => /^packages\/([^/]+)\//.exec(path)?.[1]
test('every package is in the table of arrows', () => {
  const folders = new Set(sourceFiles().map((path) => packageFolder(path)!))
  expect([...folders].sort()).toEqual(Object.keys(arrows).sort())
})

test('packages import each other only in the direction of the arrows', () => {
  const wrong = importsOf(sourceFiles()).filter(({ from, target }) => {
    const other = byName.get(packageName(target))?.folder.replace('packages/', '')
    return other !== undefined && other !== packageFolder(from) && !arrows[packageFolder(from)!]!.includes(other)
  })
  expect(wrong.map(describeImport)).toEqual([])
})

test('a package imports another only by its public names', () => {
  const wrong = importsOf(sourceFiles()).filter(({ from, target }) => {
    if (!target.startsWith('.')) return false
    const other = packageFolder(normalize(join(dirname(from), target)))
    return other !== packageFolder(from)
  })
  expect(wrong.map(describeImport)).toEqual([])
})

test('in the library, parts do not import what uses them', () => {
  const stage = (path: string) => /^packages\/tidemark\/src\/([^/]+)\//.exec(path)?.[1] ?? ''
  const wrong = importsOf(sourceFiles()).filter(
    ({ from, target }) => below.includes(stage(from)) && above.includes(stage(normalize(join(dirname(from), target)))),
  )
  expect(wrong.map(describeImport)).toEqual([])
})

test('every package that the sources import is a dependency, and every dependency is imported', () => {
  for (const { path, manifest } of manifests().filter(({ path }) => path.startsWith('packages/'))) {
    const sources = sourceFiles().filter((file) => file.startsWith(`${dirname(path)}/`))
    const imported = importsOf(sources).map(({ target }) => packageName(target))
    const others = new Set(imported.filter((name) => isPackage(name) && name !== manifest.name))
    // What types come from is needed by the build alone.
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    expect({ [path]: declared.sort() }).toEqual({ [path]: [...others].sort() })
  }
})

test('a test of a package is not imported by its sources', () => {
  const wrong = importsOf(sourceFiles()).filter(({ from, target }) => isTest(normalize(join(dirname(from), target))))
  expect(wrong.map(describeImport)).toEqual([])
})

const isPackage = (name: string) => !name.startsWith('.') && !name.startsWith('node:') && name !== ''
