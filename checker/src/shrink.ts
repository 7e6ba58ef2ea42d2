import { render, simplified } from './fragment.js'
import type { Mismatch } from './run.js'
import type { Step, World } from './world.js'
import { simplerWrites, textOf, type Write, withoutColumn } from './writes.js'

/** A world that shows a mismatch, made small: one query, and as little around it as still shows it. */
export interface Shrunk {
  readonly world: World
  readonly mismatch: Mismatch
  /** Whether it showed again at all. What needs a certain moment may not. */
  readonly isRepeatable: boolean
  readonly tries: number
}

export interface ShrinkOptions {
  /** Runs a world in a database of its own; undefined if nothing is wrong with it. */
  readonly run: (world: World) => Promise<Mismatch | undefined>
  readonly maxMs: number
}

export async function shrink(world: World, mismatch: Mismatch, options: ShrinkOptions): Promise<Shrunk> {
  return new Shrinking(world, mismatch, options).shrink()
}

class Shrinking {
  #world: World
  #mismatch: Mismatch
  #tries = 0
  readonly #options: ShrinkOptions
  readonly #end: number

  constructor(world: World, mismatch: Mismatch, options: ShrinkOptions) {
    this.#world = world
    this.#mismatch = mismatch
    this.#options = options
    this.#end = performance.now() + options.maxMs
  }

  async shrink(): Promise<Shrunk> {
    const isRepeatable = await this.#isolate()
    if (isRepeatable) {
      await this.#try(mentionedOnly(this.#world))
      await this.#each(simplerQueries)
      await this.#try(mentionedOnly(this.#world))
      let before = -1
      while (sizeOf(this.#world) !== before && !this.#isOver) {
        before = sizeOf(this.#world)
        await this.#less(
          (world) => world.steps,
          (world, steps) => ({ ...world, steps }),
        )
        await this.#less(
          (world) => world.setup,
          (world, setup) => ({ ...world, setup }),
        )
        await this.#each(simplerQueries)
        await this.#each(simplerSteps)
        await this.#each(simplerSetups)
        await this.#each(fewerColumns)
      }
    }
    return { world: this.#world, mismatch: this.#mismatch, isRepeatable, tries: this.#tries }
  }

  get #isOver(): boolean {
    return performance.now() > this.#end
  }

  /** One query, and nothing after the check that found it; then nothing between its fill and the last round, if that does. */
  async #isolate(): Promise<boolean> {
    const { query, step } = this.#mismatch
    const world = this.#world
    const steps = world.steps
      .slice(0, step + 1)
      .map((each) =>
        each.kind === 'read'
          ? { ...each, queries: each.queries.filter((index) => index === query).map(() => 0) }
          : each.kind === 'check'
            ? { kind: each.kind, round: each.round }
            : each,
      )
    const alone = { ...world, queries: [world.queries[query]!], steps }
    const starts = [...steps.keys()].filter((index) => index === 0 || steps[index - 1]!.kind === 'check')
    for (const start of starts.slice(-3).reverse()) {
      const before = steps.slice(0, start).flatMap((each) => (each.kind === 'write' ? [each.write] : []))
      if (await this.#try({ ...alone, setup: [...world.setup, ...before], steps: steps.slice(start) })) return true
    }
    return (await this.#try(alone)) || (await this.#try({ ...world, steps: world.steps.slice(0, step + 1) }))
  }

  /** Leaves out ever smaller parts of a list. */
  async #less<T>(of: (world: World) => readonly T[], put: (world: World, items: T[]) => World): Promise<void> {
    for (let size = Math.ceil(of(this.#world).length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < of(this.#world).length && !this.#isOver; ) {
        if (!(await this.#try(put(this.#world, of(this.#world).toSpliced(at, size))))) at += size
      }
    }
  }

  /** Takes the first smaller world that still fails, again and again. */
  async #each(smaller: (world: World) => Iterable<World>): Promise<void> {
    for (let found = true; found; ) {
      found = false
      for (const candidate of smaller(this.#world)) {
        if (this.#isOver) return
        if (!(await this.#try(candidate))) continue
        found = true
        break
      }
    }
  }

  async #try(world: World): Promise<boolean> {
    this.#tries++
    const mismatch = await this.#options.run(world).catch(() => undefined)
    if (!mismatch || mismatch.kind !== this.#mismatch.kind) return false
    this.#world = world
    this.#mismatch = mismatch
    return true
  }
}

/** Without the tables and views that neither the queries nor the writes name, nor what these name in turn. */
function mentionedOnly(world: World): World {
  const steps = world.steps.flatMap((step) => (step.kind === 'write' ? [textOf(step.write)] : []))
  let mentioned = [...world.queries.map(({ fragment }) => render(fragment).text), ...steps].join(' ')
  const isMentioned = (write: Write): boolean => {
    const name = subjectOf(textOf(write))
    return name === undefined || new RegExp(`(?<!\\w)${name}(?!\\w)`).test(mentioned)
  }
  let setup: Write[] = []
  // What a view reads is named by the view alone.
  for (let before = -1; before !== setup.length; ) {
    before = setup.length
    setup = world.setup.filter(isMentioned)
    mentioned = [mentioned, ...setup.map(textOf)].join(' ')
  }
  return { ...world, setup }
}

const SUBJECT =
  /^(?:create (?:or replace )?(?:table|view|function)|insert into|alter table|update|create (?:unique )?index \w+ on) ("[^"]+"|[\w.]+)/

/** The table or view that a statement makes, fills or changes. */
function subjectOf(text: string): string | undefined {
  return SUBJECT.exec(text)?.[1]
}

function* simplerQueries(world: World): Generator<World> {
  for (const [index, query] of world.queries.entries())
    for (const fragment of simplified(query.fragment))
      yield { ...world, queries: world.queries.with(index, { ...query, fragment }) }
}

function* simplerSteps(world: World): Generator<World> {
  for (const [index, step] of world.steps.entries()) {
    if (step.kind !== 'write') continue
    for (const write of simplerWrites(step.write))
      yield { ...world, steps: world.steps.with(index, { ...step, write }) }
  }
}

function* simplerSetups(world: World): Generator<World> {
  for (const [index, write] of world.setup.entries())
    for (const simpler of simplerWrites(write)) yield { ...world, setup: world.setup.with(index, simpler) }
}

function* fewerColumns(world: World): Generator<World> {
  for (const write of world.setup) {
    if (write.kind !== 'create') continue
    for (const { name } of write.columns) {
      const less = (each: Write): Write[] => {
        const left = withoutColumn(each, write.table, name)
        return left ? [left] : []
      }
      const steps = world.steps.flatMap((step): Step[] =>
        step.kind === 'write' ? less(step.write).map((each) => ({ ...step, write: each })) : [step],
      )
      yield { ...world, setup: world.setup.flatMap(less), steps }
    }
  }
}

function sizeOf({ setup, steps, queries }: World): number {
  const writes = [...setup, ...steps.flatMap((step) => (step.kind === 'write' ? [step.write] : []))]
  const texts = [...writes.map(textOf), ...queries.map(({ fragment }) => render(fragment).text)]
  return steps.length + texts.reduce((sum, text) => sum + text.length, 0)
}
