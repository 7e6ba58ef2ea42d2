import { expect, test } from 'vitest'
import { manifests, read } from './repository.js'

interface LockedPackage {
  readonly license?: string
}

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
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }
  const locked = rows.map(({ name }) => ({ name, licence: packages[`node_modules/${name}`]?.license }))
  expect(rows).toEqual(locked)
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
