import { TreeNameError, TreePathError } from './errors.js'
import type { TreeLimits } from './limits.js'

/** The path of a node: a JSON Pointer (RFC 6901). The root's is empty. */
export type Path = string

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * The name of a tenant or config, as it is: 1 to 128 letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
 *
 * @throws TreeNameError (`TIDEMARK_TREE_NAME`)
 */
export function checkName(what: 'tenant' | 'config', name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw new TreeNameError(
    `The name of a ${what} has 1 to 128 letters, digits, ".", "_" and "-", and begins with a letter or a digit.`,
  )
}

/**
 * The names of a pointer's steps.
 *
 * @throws TreePathError (`TIDEMARK_TREE_PATH`) if it is none, or is beyond a limit
 */
export function stepsOf(path: unknown, limits: TreeLimits): string[] {
  if (typeof path !== 'string') throw new TreePathError('A path is text: a JSON Pointer such as "/settings/theme".')
  if (path === '') return []
  if (path[0] !== '/') throw new TreePathError('A path begins with "/", or is empty for the whole tree (RFC 6901).')
  // Before it is taken apart: it may be megabytes.
  if (path.length > limits.pathBytesMax || Buffer.byteLength(path) > limits.pathBytesMax)
    throw new TreePathError(`The path is longer than ${limits.pathBytesMax} bytes (pathBytesMax).`)
  if (/~(?![01])/.test(path))
    throw new TreePathError('In a path, "~" stands only in "~0" (for "~") and "~1" (for "/") (RFC 6901).')
  if (!isStorable(path)) throw new TreePathError('A path cannot hold the character NUL or half of a surrogate pair.')
  const steps = path.slice(1).split('/')
  if (steps.length > limits.depthMax)
    throw new TreePathError(`The path has ${steps.length} levels; at most ${limits.depthMax} are kept (depthMax).`)
  return steps.map(unescaped)
}

/** The path itself, once it is known to be one. */
export function checkPath(path: unknown, limits: TreeLimits): Path {
  stepsOf(path, limits)
  return path as Path
}

/** The path of a child. */
export function childOf(path: Path, step: string): Path {
  return `${path}/${step.includes('~') || step.includes('/') ? step.replaceAll('~', '~0').replaceAll('/', '~1') : step}`
}

/** The path above; undefined for the root. */
export function parentOf(path: Path): Path | undefined {
  return path === '' ? undefined : path.slice(0, path.lastIndexOf('/'))
}

/** The last step's name; of the root, none. */
export function nameOf(path: Path): string {
  return unescaped(path.slice(path.lastIndexOf('/') + 1))
}

/** From the root to the one above. */
export function ancestorsOf(path: Path): Path[] {
  const above: Path[] = []
  for (let at = path.lastIndexOf('/'); at >= 0; at = at === 0 ? -1 : path.lastIndexOf('/', at - 1))
    above.push(path.slice(0, at))
  return above.reverse()
}

/** Whether a node is another one, or below it. */
export function isWithin(path: Path, above: Path): boolean {
  return path.startsWith(above) && (path.length === above.length || path[above.length] === '/')
}

/** All below a node are from here on, and before the other: by bytes, `0` comes after `/`. */
export function below(path: Path): readonly [Path, Path] {
  return [`${path}/`, `${path}0`]
}

/** The index that a step is in an array: no leading zeros (RFC 6901). */
export function indexOf(step: string): number | undefined {
  return /^(0|[1-9]\d{0,8})$/.test(step) ? Number(step) : undefined
}

/** PostgreSQL's text has no NUL, and is well-formed. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

function unescaped(step: string): string {
  return step.includes('~') ? step.replaceAll('~1', '/').replaceAll('~0', '~') : step
}
