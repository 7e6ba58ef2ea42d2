import { expect } from 'vitest'
import type { Tree as ConfigTree } from '../src/index.js'
import { childOf, isWithin, type Path } from '../src/pointer.js'
import { copy, find, Model, nodesOf, type Place, print, type Seen, type Tree } from './model.js'
import type { Process } from './opened.js'
import { until } from './opened.js'
import { applyToModel, Chance, type Edit, NAMES, type Step } from './random-edits.js'

const EDITS = 6
/** Nodes of each config that are read before each edit. */
const WATCHED = 10

/** For a view to be kept. Where many seeds run beside other work it is given more. */
export const WAIT_MS = Number(process.env['TREE_WAIT_MS'] ?? 60_000)

/** Of entries, after each edit. */
export interface Figures {
  compared: number
  gone: number
  /** Changed, or taken along as declared. */
  expected: number
  both: number
  /** Loaded again at once by what might have changed them, and the same: neither gone nor expected. */
  stayed: number
  edits: number
  refused: number
  /** Gone though nothing of them changed, by edit and by what the view was. */
  readonly needless: Map<string, Needless>
}

export interface Needless {
  count: number
  readonly example: string
}

/** Of configs by themselves, of those that inherit and refer, and of the edits that make one of these inherit from another one. */
export type Totals = Readonly<Record<'alone' | 'related' | 'extended', Figures>>

export function noTotals(): Totals {
  const none = (): Figures => ({
    compared: 0,
    gone: 0,
    expected: 0,
    both: 0,
    stayed: 0,
    edits: 0,
    refused: 0,
    needless: new Map(),
  })
  return { alone: none(), related: none(), extended: none() }
}

interface Watched extends Place {
  readonly seen: Seen
  /** The position as of which its entry was stored. */
  asOf?: string | undefined
  /** What takes it along. */
  readonly sources: readonly Place[]
}

/**
 * The configs of one tenant, and a model of them, under random edits. In one half of the seeds there is one config by itself, in the other one
 * that inherits, and references between three.
 */
export class Run {
  readonly #totals: Totals
  readonly #isAlone: boolean
  readonly #chance: Chance
  readonly #model = new Model()
  readonly #tenant: string
  readonly #editor: Process
  readonly #reader: Process
  /** Entries that a change touched and that are there as before, by tenant and key. */
  readonly #stayed: ReadonlySet<string>
  readonly #past = new Map<string, Map<number, Tree | undefined>>()
  readonly #log: string[] = []
  #watched: readonly Watched[] = []
  /** The configs' own trees, as they were when these were read. */
  #before = new Map<string, Tree | undefined>()
  #last: Edit | undefined
  /** Nodes that the last edit declared anew to go along. */
  #declared: readonly Place[] = []

  /**
   * @param reader  whose entries are looked at: the process that edits, or another one
   * @param stayed  those of them that the last edit touched and left as they were
   */
  constructor(seed: number, totals: Totals, editor: Process, reader: Process, stayed: ReadonlySet<string>) {
    this.#totals = totals
    this.#isAlone = seed % 2 !== 0
    this.#chance = new Chance(seed)
    this.#tenant = `S${seed}`
    this.#editor = editor
    this.#reader = reader
    this.#stayed = stayed
    for (const name of this.#isAlone ? ['app'] : ['base', 'app', 'other']) this.#model.config(name)
  }

  /** What was done, to be read by people. */
  get log(): string {
    return this.#log.join('\n')
  }

  /** Where the last edit counts. */
  get figures(): Figures {
    return this.#totals[this.#isAlone ? 'alone' : this.#last?.kind === 'extend' ? 'extended' : 'related']
  }

  get #names(): string[] {
    return [...this.#model.configs.keys()]
  }

  async begin(): Promise<void> {
    for (const name of this.#names) await this.#do({ kind: 'put', name, path: '', tree: this.#chance.tree(3) })
    if (this.#names.length > 1 && this.#model.config('app').tree instanceof Map)
      await this.#do({ kind: 'extend', name: 'app', base: 'base' })
  }

  /** Reads nodes until they are kept: those that readers see, and some that are not there. */
  async fill(): Promise<void> {
    const places = new Map<string, Place>()
    const watch = (name: string, path: Path) => places.set(`${name} ${path}`, { name, path })
    for (const name of this.#names) {
      const { tree } = this.#model.config(name)
      const paths = [...new Set(['', ...nodesOf(tree).keys(), ...nodesOf(this.#model.see(name, '').tree).keys()])]
      for (let count = 0; count < WATCHED; count++) {
        const path = this.#chance.pick(paths)
        watch(name, path)
        if (this.#chance.is(0.15)) watch(name, childOf(path, this.#chance.pick(NAMES)))
      }
    }
    this.#watched = [...places.values()].map((place) => {
      const seen = this.#model.see(place.name, place.path)
      return { ...place, seen, sources: this.#model.takeAlong(seen.madeOf) }
    })
    this.#before = new Map([...this.#model.configs].map(([name, { tree }]) => [name, tree && copy(tree)]))
    await Promise.all(
      this.#watched.map(async (watched) => {
        const { name, path } = watched
        const node = this.#node(name, path)
        await until(
          async () => (await node.ask()).from === 'l1',
          () => `${name} "${path}": ${node.explain().text}`,
          WAIT_MS,
        )
        watched.asOf = node.explain().asOf
      }),
    )
  }

  async edit(): Promise<void> {
    const name = this.#chance.pick(this.#names)
    await this.#do(this.#chance.edit(this.#model, name, this.#past.get(name) ?? new Map()))
  }

  /** Once the edit has reached the reader: exactly those are gone that should be. */
  compare(): void {
    const { figures } = this
    for (const { name, path, seen, sources, asOf } of this.#watched) {
      const now = this.#model.see(name, path)
      const takers = [...sources, ...this.#model.takeAlong(now.madeOf)]
      const isTaken = takers.some((taker) => this.#isOther(taker)) || this.#isDeclared([...takers, ...now.madeOf])
      const isExpected = now.text !== seen.text || isTaken
      const node = this.#node(name, path)
      // What others are made of may be there again by now, as another entry.
      const isOther = node.explain().asOf !== asOf
      const hasStayed = this.#stayed.has(`${this.#tenant} ${node.key}`)
      const isGone = isOther && !hasStayed
      figures.compared++
      if (isOther && hasStayed) figures.stayed++
      if (isGone) figures.gone++
      if (isExpected) figures.expected++
      if (isGone && isExpected) figures.both++
      if (isGone && !isExpected) this.#countNeedless({ name, path }, seen)
      if (isExpected && !isGone)
        throw new Error(`${name} "${path}" should be gone: it was ${seen.text}, and is ${now.text}`)
    }
  }

  /** What is read then is what the model says. A read brings others back that it is made of: so this comes last. */
  async read(): Promise<void> {
    await Promise.all(
      this.#watched.map(async ({ name, path }) => {
        const view = (await this.#node(name, path).ask()).value
        expect(view?.json, `${name} "${path}"`).toBe(this.#model.see(name, path).text)
      }),
    )
  }

  /** What an edit declares anew goes along with that edit too. */
  #isDeclared(places: readonly Place[]): boolean {
    return places.some(({ name, path }) =>
      this.#declared.some((of) => of.name === name && (isWithin(path, of.path) || isWithin(of.path, path))),
    )
  }

  #isOther({ name, path }: Place): boolean {
    const before = find(this.#before.get(name), path)
    return (before === undefined ? undefined : print(before)) !== this.#model.own({ name, path })
  }

  #countNeedless({ name, path }: Place, { text, madeOf }: Seen): void {
    const edit = this.#last!
    const own = find(this.#before.get(name), path)
    const what = text === undefined ? 'absent' : own === undefined ? 'inherited or referred to' : 'own'
    const cause = `${edit.kind} in ${edit.name === name ? 'the same config' : 'another config'}: ${what}`
    const { needless } = this.figures
    const known = needless.get(cause)
    const example = `${this.#tenant} ${name} "${path}" (${text}; of ${madeOf.map((of) => `${of.name}${of.path}`)}) after ${told(edit)} in ${this.#trees}`
    if (process.env['TREE_NEEDLESS']) console.log(example)
    if (known) known.count++
    else needless.set(cause, { count: 1, example })
  }

  /** All configs as they were before the edit. */
  get #trees(): string {
    const configs = [...this.#before].map(([name, tree]) => {
      const { base } = this.#model.config(name)
      return `${name}${base === undefined ? '' : ` < ${base}`} ${tree && print(tree)}`
    })
    return configs.join('; ')
  }

  #node(name: string, path: Path) {
    return this.#reader.trees.tree(this.#tenant, name).node(path)
  }

  async #do(edit: Edit): Promise<void> {
    this.#last = edit
    this.#log.push(told(edit))
    this.figures.edits++
    const known = edit.kind === 'put' ? this.#model.config(edit.name).dependents.get(edit.path) : undefined
    const declared = edit.kind === 'put' ? (edit.dependencies ?? []).filter((path) => !known?.has(path)) : []
    const refused = applyToModel(this.#model, edit)
    this.#declared = refused === undefined ? declared.map((path) => ({ name: edit.name, path })) : []
    const done = this.#done(this.#editor.trees.tree(this.#tenant, edit.name), edit)
    if (refused !== undefined) {
      this.figures.refused++
      await expect(done, refused).rejects.toMatchObject({ code: expect.stringMatching(/^TIDEMARK_TREE_/) })
      return
    }
    const version = await done
    // What SQL changed is in no version, and a rollback leaves it.
    if (edit.kind === 'sql') this.#past.delete(edit.name)
    if (version === undefined) return
    const past = this.#past.get(edit.name) ?? new Map<number, Tree | undefined>()
    const { tree } = this.#model.config(edit.name)
    this.#past.set(edit.name, past.set(version, tree && copy(tree)))
  }

  /** Does it in earnest. */
  async #done(config: ConfigTree, edit: Edit): Promise<number | undefined> {
    switch (edit.kind) {
      case 'put': {
        const options = edit.dependencies ? { dependencies: edit.dependencies } : {}
        return (await config.put(edit.path, { json: print(edit.tree) }, options)).version
      }
      case 'delete':
        return (await config.delete(edit.path)).version
      case 'patch':
        return (await config.patch({ json: `[${edit.steps.map(stepText).join(',')}]` })).version
      case 'rollback':
        return (await config.rollback(edit.version)).version
      case 'extend':
        await config.extend(edit.base === undefined ? undefined : { config: edit.base })
        return undefined
      case 'sql':
        await this.#editor.source.pool.query(
          'update tidemark_trees.configs set value = $4 where tenant = $1 and config = $2 and path = $3',
          [this.#tenant, edit.name, edit.path, edit.tree],
        )
        return undefined
    }
  }
}

/** Runs seeds side by side, each in a tenant of its own: their waits are the same ones. */
export async function runTogether(
  seeds: readonly number[],
  totals: Totals,
  editor: Process,
  reader = editor,
): Promise<void> {
  const stayed = new Set<string>()
  const unlisten = reader.cache.on('stayed', ({ tenant, key }) => stayed.add(`${tenant} ${key}`))
  const runs = seeds.map((seed) => ({ seed, run: new Run(seed, totals, editor, reader, stayed) }))
  const all = (step: (run: Run) => Promise<void> | void) =>
    Promise.all(
      runs.map(async ({ seed, run }) => {
        try {
          await step(run)
        } catch (error) {
          const { message } = error as Error
          throw new Error(`npm run check:trees -- --seed ${seed}\n${message}\n${run.log}`, { cause: error })
        }
      }),
    )
  try {
    await all((run) => run.begin())
    for (let edit = 0; edit < EDITS; edit++) {
      await all((run) => run.fill())
      stayed.clear()
      await all((run) => run.edit())
      await reader.cache.settled()
      await all((run) => run.compare())
      await all((run) => run.read())
    }
  } finally {
    unlisten()
  }
}

function stepText(step: Step): string {
  const from = step.op === 'move' ? `,"from":${JSON.stringify(step.from)}` : ''
  const value = 'tree' in step ? `,"value":${print(step.tree)}` : ''
  return `{"op":"${step.op}","path":${JSON.stringify(step.path)}${from}${value}}`
}

function told(edit: Edit): string {
  const { kind, name } = edit
  switch (kind) {
    case 'put':
      return `put ${name} "${edit.path}" ${print(edit.tree)}${edit.dependencies ? ` takes ${JSON.stringify(edit.dependencies)}` : ''}`
    case 'patch':
      return `patch ${name} [${edit.steps.map(stepText).join(',')}]`
    case 'rollback':
      return `rollback ${name} to ${edit.version}`
    case 'extend':
      return `extend ${name} from ${edit.base}`
    case 'sql':
      return `sql ${name} "${edit.path}" ${edit.tree}`
    case 'delete':
      return `delete ${name} "${edit.path}"`
  }
}
