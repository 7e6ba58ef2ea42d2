import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Tree as ConfigTree, Edited } from '../src/index.js'
import { childOf, isWithin, nameOf, type Path, parentOf } from '../src/pointer.js'
import { copy, find, Model, nodesOf, print, type Tree } from './model.js'
import { type Process, until, World } from './opened.js'

/*
 * Random edits of random configs, beside a model on plain objects. After each, the entries that are gone are exactly those whose value or
 * existence changed, or that were declared to go along; and what is read is what the model says. A seed is printed when it fails.
 */
const SEEDS = Number(process.env['TREES_SEEDS'] ?? 30)
const FIRST = Number(process.env['TREES_FIRST'] ?? 1)
const EDITS = 6
const NAMES = ['a', 'b', 'c/d', 'e~f', '', '7']

let world: World
let opened: Process

beforeAll(async () => {
  world = await World.create()
  opened = await world.open()
})
afterAll(() => world?.drop())

/** Mulberry32. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Of configs by themselves, and of those that inherit and refer. `needlessOfNothing`: views of what was not there, and is not. */
const totals = [false, true].map(() => ({ gone: 0, expected: 0, both: 0, refused: 0, needlessOfNothing: 0 }))

/** Gone, though nothing of it changed. */
const needless: string[] = []

class Run {
  readonly #random: () => number
  readonly #model = new Model()
  readonly #tenant: string
  readonly #names: readonly string[]
  readonly #hasReferences: boolean
  readonly #past = new Map<string, Map<number, Tree | undefined>>()
  readonly log: string[] = []

  constructor(seed: number) {
    this.#random = random(seed)
    this.#tenant = `S${seed}`
    this.#hasReferences = seed % 2 === 0
    this.#names = this.#hasReferences ? ['base', 'app', 'other'] : ['app']
  }

  get totals() {
    return totals[this.#hasReferences ? 1 : 0]!
  }

  async run(): Promise<void> {
    for (const name of this.#names) await this.#edit(name, '', this.#tree(3), 'put')
    if (this.#hasReferences) {
      const { tree } = this.#model.config('app')
      if (tree instanceof Map) {
        await this.#config('app').extend({ config: 'base' })
        this.#model.config('app').base = 'base'
        this.log.push('app extends base')
      }
    }
    for (let edit = 0; edit < EDITS; edit++) {
      const watched = await this.#fill()
      const before = new Map([...watched].map(([key, { name, path }]) => [key, this.#model.view(name, path)]))
      const nodes = new Map(this.#names.map((name) => [name, nodesOf(this.#model.config(name).tree)]))
      const takes = new Map([...watched].map(([key, { name, path }]) => [key, this.#model.takesAlong(name, path)]))
      await this.#someEdit()
      await opened.cache.settled()
      for (const [key, { name, path }] of watched) {
        const now = this.#model.view(name, path)
        const changed = this.#changedNodes(name, nodes.get(name)!)
        // What an edit declares goes along with that edit too.
        const sources = [...takes.get(key)!, ...this.#model.takesAlong(name, path)]
        const taken = sources.some((source) => changed.some((each) => isWithin(each, source)))
        const isExpected = now !== before.get(key) || taken
        const isGone = !this.#config(name).node(path).explain().stored
        const { totals } = this
        if (isGone) totals.gone++
        if (isExpected) totals.expected++
        if (isGone && isExpected) totals.both++
        if (isGone && !isExpected) {
          if (now === undefined) totals.needlessOfNothing++
          needless.push(`${key} after ${this.log.at(-1)}`)
        }
        if (isExpected && !isGone) throw new Error(`${key} should be gone: was ${before.get(key)}, is ${now}`)
      }
      // Only then: a read brings others back that it is made of.
      for (const [key, { name, path }] of watched) {
        const view = (await this.#config(name).node(path).ask()).value
        expect(view?.json, key).toBe(this.#model.view(name, path))
      }
    }
  }

  #changedNodes(name: string, before: ReadonlyMap<Path, string>): Path[] {
    const after = nodesOf(this.#model.config(name).tree)
    return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path))
  }

  async #fill(): Promise<Map<string, { name: string; path: Path }>> {
    const watched = new Map<string, { name: string; path: Path }>()
    for (const name of this.#names) {
      const paths = ['', ...nodesOf(this.#model.config(name).tree).keys()]
      for (let count = 0; count < 6; count++) {
        const path = this.#pick(paths)
        for (const each of [path, this.#chance(0.15) ? childOf(path, this.#pick(NAMES)) : path])
          watched.set(`${name} ${each}`, { name, path: each })
      }
    }
    for (const [key, { name, path }] of watched) {
      const node = this.#config(name).node(path)
      await until(
        async () => (await node.ask()).from === 'l1',
        () => `${key}: ${node.explain().text}`,
      )
    }
    return watched
  }

  async #someEdit(): Promise<void> {
    const name = this.#pick(this.#names)
    const { tree } = this.#model.config(name)
    const paths = [...nodesOf(tree).keys()]
    const inner = paths.filter((path) => path !== '')
    const kind = this.#random()
    if (tree === undefined || kind < 0.35) {
      const path = paths.length === 0 || this.#chance(0.1) ? '' : this.#place(name, paths)
      return this.#edit(name, path, this.#chance(0.5) ? this.#scalar() : this.#tree(2), 'put')
    }
    if (kind < 0.5 && inner.length > 0) return this.#edit(name, this.#pick(inner), undefined, 'delete')
    if (kind < 0.65) {
      const arrays = paths.filter((path) => Array.isArray(find(tree, path)))
      if (arrays.length > 0) {
        const array = this.#pick(arrays)
        const { length } = find(tree, array) as Tree[]
        return this.#edit(name, `${array}/${Math.floor(this.#random() * (length + 1))}`, this.#scalar(), 'insert')
      }
    }
    if (kind < 0.75 && inner.length > 1) {
      const from = this.#pick(inner)
      const path = this.#place(name, paths)
      if (!isWithin(path, from)) return this.#edit(name, path, undefined, 'move', from)
    }
    if (kind < 0.85 && this.#hasReferences) {
      const target = `${this.#chance(0.5) ? this.#pick(this.#names) : ''}#${this.#pick(['', ...inner, '/nowhere'])}`
      return this.#edit(name, this.#place(name, paths), new Map([['$ref', JSON.stringify(target)]]), 'put')
    }
    if (kind < 0.92) {
      const versions = [...(this.#past.get(name)?.keys() ?? [])]
      return this.#rollback(name, this.#pick(versions))
    }
    if (!this.#hasReferences && inner.length > 0) {
      const dependents = [this.#pick(paths), childOf(this.#pick(paths), 'a')]
      const path = this.#pick(inner)
      return this.#edit(name, path, this.#scalar(), 'put', undefined, dependents)
    }
    return this.#edit(name, '', this.#tree(3), 'put')
  }

  /** A place where something can be put: what is there, or a member of an object. */
  #place(name: string, paths: readonly Path[]): Path {
    const path = this.#pick(paths)
    return find(this.#model.config(name).tree, path) instanceof Map && this.#chance(0.6)
      ? childOf(path, this.#pick(NAMES))
      : path
  }

  async #edit(
    name: string,
    path: Path,
    tree: Tree | undefined,
    kind: string,
    from?: Path,
    dependencies?: Path[],
  ): Promise<void> {
    const config = this.#model.config(name)
    const before = config.tree === undefined ? undefined : copy(config.tree)
    this.log.push(
      `${kind} ${name} "${path}" ${tree === undefined ? (from ?? '') : print(tree)} ${dependencies ? `takes ${dependencies}` : ''}`,
    )
    const refused = this.#applied(name, path, tree, kind, from)
    const real = this.#config(name)
    const options = dependencies ? { dependencies } : {}
    const done = async (): Promise<Edited> => {
      const value = tree === undefined ? undefined : print(tree)
      if (kind === 'put') return real.put(path, { json: value! }, options)
      if (kind === 'delete') return real.delete(path)
      if (kind === 'insert')
        return real.patch({ json: `[{"op":"add","path":${JSON.stringify(path)},"value":${value!}}]` })
      return real.patch({ value: [{ op: 'move', from, path }] })
    }
    if (refused) {
      this.totals.refused++
      await expect(done(), refused).rejects.toMatchObject({ code: expect.stringMatching(/^TIDEMARK_TREE_/) })
      config.tree = before
      return
    }
    const { version } = await done()
    if (dependencies) config.dependents.set(path, new Set(dependencies))
    this.#remember(name, version)
  }

  #remember(name: string, version: number): void {
    const past = this.#past.get(name) ?? new Map<number, Tree | undefined>()
    const { tree } = this.#model.config(name)
    past.set(version, tree === undefined ? undefined : copy(tree))
    this.#past.set(name, past)
  }

  async #rollback(name: string, version: number): Promise<void> {
    this.log.push(`rollback ${name} to ${version}`)
    const config = this.#model.config(name)
    const before = config.tree
    const past = this.#past.get(name)!.get(version)
    config.tree = past === undefined ? undefined : copy(past)
    const refused = this.#cycle()
    if (refused) {
      await expect(this.#config(name).rollback(version)).rejects.toMatchObject({
        code: expect.stringMatching(/^TIDEMARK_TREE_/),
      })
      config.tree = before
      return
    }
    const { version: made } = await this.#config(name).rollback(version)
    this.#remember(name, made)
  }

  /** Does it in the model; returns why it must be refused. */
  #applied(name: string, path: Path, tree: Tree | undefined, kind: string, from?: Path): string | undefined {
    const config = this.#model.config(name)
    let value = tree
    if (kind === 'move') {
      value = copy(find(config.tree, from!)!)
      remove(config, from!)
    }
    if (kind === 'delete') remove(config, path)
    else if (path === '') config.tree = copy(value!)
    else {
      const parent = find(config.tree, parentOf(path)!)
      if (Array.isArray(parent)) {
        const index = Number(nameOf(path))
        if (kind === 'put' ? index >= parent.length : index > parent.length) return 'no such item'
        parent.splice(index, kind === 'put' ? 1 : 0, copy(value!))
      } else if (parent instanceof Map) parent.set(nameOf(path), copy(value!))
      else return 'no parent'
    }
    return this.#cycle()
  }

  #cycle(): string | undefined {
    try {
      for (const name of this.#names) this.#model.view(name, '')
      return undefined
    } catch {
      return 'cycle'
    }
  }

  #config(name: string): ConfigTree {
    return opened.trees.tree(this.#tenant, name)
  }

  #tree(depth: number): Tree {
    if (depth > 0 && this.#chance(0.25))
      return Array.from({ length: Math.floor(this.#random() * 4) }, () => this.#below(depth))
    const names = NAMES.filter(() => this.#chance(0.5))
    return new Map(names.sort(() => this.#random() - 0.5).map((name) => [name, this.#below(depth)]))
  }

  #below(depth: number): Tree {
    return depth > 1 && this.#chance(0.5) ? this.#tree(depth - 1) : this.#scalar()
  }

  #scalar(): Tree {
    return this.#pick(['1', '"x"', 'null', 'true', '12345678901234567890', '"é\\n"', '0.5'])
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }
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

it(
  `what an edit invalidates, and what is read then, is what the model says (${SEEDS} seeds)`,
  async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const run = new Run(seed)
      try {
        await run.run()
      } catch (error) {
        throw new Error(`TREES_FIRST=${seed} TREES_SEEDS=1: ${(error as Error).message}\n${run.log.join('\n')}`, {
          cause: error,
        })
      }
    }
    for (const [index, { gone, expected, both, refused, needlessOfNothing }] of totals.entries()) {
      const kind = index === 0 ? 'by themselves' : 'that inherit and refer'
      console.log(
        `configs ${kind}: recall ${both / expected}, precision ${both / gone}, of ${gone} entries; ` +
          `of views of what is there ${both / (gone - needlessOfNothing)}; ${refused} edits refused`,
      )
      expect(both).toBe(expected)
      // What is not there, and would be where a new reference leads if that had it, goes though it still is not there.
      if (gone > 0) expect(both / gone, needless.join('\n')).toBeGreaterThanOrEqual(index === 0 ? 0.99 : 0.9)
    }
  },
  SEEDS * 20_000,
)
