import { ancestorsOf, childOf, isWithin, nameOf, type Path, parentOf } from '../src/pointer.js'
import { copy, find, type Model, nodesOf, type Tree } from './model.js'

export const NAMES = ['a', 'b', 'c/d', 'e~f', '', '7']

/** An operation of a JSON Patch. */
export type Step =
  | { readonly op: 'add' | 'replace'; readonly path: Path; readonly tree: Tree }
  | { readonly op: 'remove'; readonly path: Path }
  | { readonly op: 'move'; readonly path: Path; readonly from: Path }

export type Edit = { readonly name: string } & (
  | { readonly kind: 'put'; readonly path: Path; readonly tree: Tree; readonly dependencies?: readonly Path[] }
  | { readonly kind: 'delete'; readonly path: Path }
  | { readonly kind: 'patch'; readonly steps: readonly Step[] }
  | { readonly kind: 'rollback'; readonly version: number; readonly tree: Tree | undefined }
  | { readonly kind: 'extend'; readonly base: string | undefined }
  /** A program's, by SQL: a value in place of another one. */
  | { readonly kind: 'sql'; readonly path: Path; readonly tree: string }
)

/** Mulberry32. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Trees and edits by chance: the same for the same seed. */
export class Chance {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = random(seed)
  }

  /** @param past  the trees that the config had, by version */
  edit(model: Model, name: string, past: ReadonlyMap<number, Tree | undefined>): Edit {
    const { tree, base } = model.config(name)
    const paths = [...nodesOf(tree).keys()]
    const inner = paths.filter((path) => path !== '')
    const names = [...model.configs.keys()]
    const kind = this.#random()
    if (tree === undefined || kind < 0.3) {
      const inherited = base === undefined ? [] : [...nodesOf(model.see(base, '').tree).keys()]
      const path =
        paths.length === 0 || this.is(0.1)
          ? ''
          : inherited.length > 0 && this.is(0.3)
            ? this.pick(inherited)
            : this.#place(tree, paths)
      return { kind: 'put', name, path, tree: this.is(0.5) ? this.#scalar() : this.tree(2) }
    }
    if (kind < 0.42 && inner.length > 0) return { kind: 'delete', name, path: this.pick(inner) }
    if (kind < 0.55) {
      const arrays = paths.filter((path) => Array.isArray(find(tree, path)))
      if (arrays.length > 0) {
        const array = this.pick(arrays)
        const { length } = find(tree, array) as Tree[]
        const path = `${array}/${Math.floor(this.#random() * (length + 1))}`
        return { kind: 'patch', name, steps: [{ op: 'add', path, tree: this.#scalar() }] }
      }
    }
    if (kind < 0.64 && inner.length > 1) {
      const from = this.pick(inner)
      const path = this.#place(tree, paths)
      if (!isWithin(path, from)) return { kind: 'patch', name, steps: [{ op: 'move', path, from }] }
    }
    if (kind < 0.7) return { kind: 'patch', name, steps: this.#steps(tree) }
    if (kind < 0.8 && names.length > 1) {
      const target = `${this.is(0.5) ? this.pick(names) : ''}#${this.pick(['', ...inner, '/nowhere'])}`
      return { kind: 'put', name, path: this.#place(tree, paths), tree: new Map([['$ref', JSON.stringify(target)]]) }
    }
    if (kind < 0.87 && past.size > 0) {
      const version = this.pick([...past.keys()])
      return { kind: 'rollback', name, version, tree: past.get(version) }
    }
    if (kind < 0.93 && inner.length > 0) {
      const dependencies = [this.pick(paths), childOf(this.pick(paths), 'a')]
      return { kind: 'put', name, path: this.pick(inner), tree: this.#scalar(), dependencies }
    }
    const values = paths.filter((path) => typeof find(tree, path) === 'string' && nameOf(path) !== '$ref')
    if (kind < 0.96 && values.length > 0)
      return { kind: 'sql', name, path: this.pick(values), tree: this.#scalar() as string }
    if (kind < 0.98 && names.length > 1)
      return { kind: 'extend', name, base: this.pick([undefined, ...names.filter((each) => each !== name)]) }
    return { kind: 'put', name, path: '', tree: this.tree(3) }
  }

  tree(depth: number): Tree {
    if (depth > 0 && this.is(0.25))
      return Array.from({ length: Math.floor(this.#random() * 4) }, () => this.#below(depth))
    const names = NAMES.filter(() => this.is(0.5))
    return new Map(names.sort(() => this.#random() - 0.5).map((name) => [name, this.#below(depth)]))
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!
  }

  is(share: number): boolean {
    return this.#random() < share
  }

  /** Operations, each on what the ones before it made. */
  #steps(tree: Tree): Step[] {
    const made: { tree: Tree | undefined } = { tree: copy(tree) }
    const steps: Step[] = []
    for (let count = 0; count < 3; count++) {
      const paths = [...nodesOf(made.tree).keys()]
      const inner = paths.filter((path) => path !== '')
      const step: Step =
        inner.length > 0 && this.is(0.3)
          ? { op: 'remove', path: this.pick(inner) }
          : inner.length > 0 && this.is(0.3)
            ? { op: 'replace', path: this.pick(inner), tree: this.#scalar() }
            : { op: 'add', path: this.#place(made.tree, paths), tree: this.is(0.5) ? this.#scalar() : this.tree(1) }
      if (takeStep(made, step) !== undefined) break
      steps.push(step)
    }
    return steps
  }

  #below(depth: number): Tree {
    return depth > 1 && this.is(0.5) ? this.tree(depth - 1) : this.#scalar()
  }

  #scalar(): Tree {
    return this.pick(['1', '"x"', 'null', 'true', '12345678901234567890', '"é\\n"', '0.5'])
  }

  /** A place where something can be put: what is there, or a member of an object. */
  #place(tree: Tree | undefined, paths: readonly Path[]): Path {
    const path = this.pick(paths)
    return find(tree, path) instanceof Map && this.is(0.6) ? childOf(path, this.pick(NAMES)) : path
  }
}

/** Does it in the model; says why it must be refused, and then the model is as it was. */
export function applyToModel(model: Model, edit: Edit): string | undefined {
  const config = model.config(edit.name)
  const before = { tree: config.tree === undefined ? undefined : copy(config.tree), base: config.base }
  const refused = apply(model, edit) ?? cycleOf(model)
  if (refused !== undefined) Object.assign(config, before)
  else if (edit.kind === 'put' && edit.dependencies) config.dependents.set(edit.path, new Set(edit.dependencies))
  return refused
}

function apply(model: Model, edit: Edit): string | undefined {
  const config = model.config(edit.name)
  switch (edit.kind) {
    case 'put':
      return put(model, edit.name, edit.path, edit.tree)
    case 'sql':
      return put(model, edit.name, edit.path, edit.tree)
    case 'delete':
      return takeStep(config, { op: 'remove', path: edit.path })
    case 'patch':
      for (const step of edit.steps) {
        const refused = takeStep(config, step)
        if (refused !== undefined) return refused
      }
      return undefined
    case 'rollback':
      config.tree = edit.tree === undefined ? undefined : copy(edit.tree)
      return undefined
    case 'extend':
      config.base = edit.base
      return undefined
  }
}

function put(model: Model, name: string, path: Path, tree: Tree): string | undefined {
  const config = model.config(name)
  for (const above of ancestorsOf(path)) {
    if (find(config.tree, above) !== undefined) continue
    const inherited = config.base === undefined ? undefined : model.see(config.base, above).text
    if (inherited !== undefined && !inherited.startsWith('{')) return 'it is inherited, and no object'
    const refused = set(config, above, new Map(), 'replace')
    if (refused !== undefined) return refused
  }
  return set(config, path, tree, 'replace')
}

/** One operation, on one tree. */
function takeStep(config: { tree: Tree | undefined }, step: Step): string | undefined {
  switch (step.op) {
    case 'remove':
      remove(config, step.path)
      return undefined
    case 'move': {
      const value = find(config.tree, step.from)!
      remove(config, step.from)
      return set(config, step.path, value, 'add')
    }
    default:
      return set(config, step.path, step.tree, step.op)
  }
}

/** `add` puts an item before the one that an array has there. */
function set(config: { tree: Tree | undefined }, path: Path, tree: Tree, op: 'add' | 'replace'): string | undefined {
  if (path === '') {
    config.tree = copy(tree)
    return undefined
  }
  const parent = find(config.tree, parentOf(path)!)
  const name = nameOf(path)
  if (parent instanceof Map) {
    parent.set(name, copy(tree))
    return undefined
  }
  if (!Array.isArray(parent)) return 'there is nothing above it'
  const index = /^(0|[1-9]\d*)$/.test(name) ? Number(name) : Number.NaN
  if (!(op === 'add' ? index <= parent.length : index < parent.length)) return 'there is no such item'
  parent.splice(index, op === 'add' ? 0 : 1, copy(tree))
  return undefined
}

function remove(config: { tree: Tree | undefined }, path: Path): void {
  if (path === '') {
    config.tree = undefined
    return
  }
  const parent = find(config.tree, parentOf(path)!)
  if (Array.isArray(parent)) parent.splice(Number(nameOf(path)), 1)
  else if (parent instanceof Map) parent.delete(nameOf(path))
}

function cycleOf(model: Model): string | undefined {
  try {
    for (const name of model.configs.keys()) model.see(name, '')
    return undefined
  } catch {
    return 'it leads back to itself'
  }
}
