import { expect, test } from 'vitest'
import { manifests, read } from './repository.js'

interface LockedPackage {
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const locked = (JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }).packages

const rows = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| ([^|]+?) \|/gm)].map(([, name, licence]) => ({
  name: name!,
  licence: licence!,
}))

test('docs/dependencies.md has one line for each direct dependency, and no other', () => {
  const ours = new Set(manifests().map(({ manifest }) => manifest.name))
  const direct = manifests().flatMap(({ manifest }) =>
    [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies, manifest.peerDependencies].flatMap(
      (dependencies) => Object.keys(dependencies ?? {}),
    ),
  )
  const expected = [...new Set(direct)].filter((name) => !ours.has(name))
  expect(rows.map(({ name }) => name).sort()).toEqual(expected.sort())
})

test('the licences in docs/dependencies.md are those of the installed versions', () => {
  expect(rows).toEqual(rows.map(({ name }) => ({ name, licence: lockedOf(name)?.license })))
})

test('versions are exact, so that what was tested is what is installed', () => {
  // The types of Node are those of the oldest version that we support, whatever patch.
  const loose = manifests().flatMap(({ path, manifest }) =>
    Object.entries({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies })
      .filter(([name, version]) => name !== '@types/node' && !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([name, version]) => `${path}: ${name} ${version}`),
  )
  expect(loose).toEqual([])
})

test('the lock file has every dependency of every platform, as npm ci wants it', () => {
  // npm leaves out what the registry at hand lacks, and npm ci then refuses the file.
  const missing = Object.entries(locked).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !isLocked(path, name)),
  )
  expect(missing).toEqual([])
})

/** A package that stands in the root, or in the one workspace that uses it where another package wants another version. */
function lockedOf(name: string): LockedPackage | undefined {
  const nested = Object.keys(locked).find(
    (path) => /^(packages|examples)\//.test(path) && path.endsWith(`/node_modules/${name}`),
  )
  return locked[`node_modules/${name}`] ?? (nested === undefined ? undefined : locked[nested])
}

/** Node looks for a package beside the one that asks, then in each folder above. */
function isLocked(path: string, name: string): boolean {
  if (`${path === '' ? '' : `${path}/`}node_modules/${name}` in locked) return true
  return path !== '' && isLocked(path.slice(0, Math.max(0, path.lastIndexOf('/'))), name)
}
