import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Every file that belongs to the repository, by its path in it: tracked, or new and not ignored. */
export function repositoryFiles(): string[] {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  return [...new Set(list.toString().split('\0'))].filter((path) => path !== '' && existsSync(join(root, path))).sort()
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

export const isTest = (path: string): boolean => /\.(test|test-d)\.ts$/.test(path) || /(^|\/)test\//.test(path)

/** The code of the packages themselves, without their tests. */
export function sourceFiles(): string[] {
  return repositoryFiles().filter(
    (path) => /^packages\/[^/]+\/(src\/.*\.ts|worker\/.*\.js)$/.test(path) && !isTest(path),
  )
}

/** The packages' manifests, and those of the root, the examples and the benchmarks. */
export function manifests(): { path: string; manifest: Manifest }[] {
  const paths = repositoryFiles().filter((path) => /(^|\/)package\.json$/.test(path))
  return paths.map((path) => ({ path, manifest: JSON.parse(read(path)) as Manifest }))
}

export interface Manifest {
  readonly name: string
  readonly exports?: Readonly<Record<string, { readonly source: string }>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}
