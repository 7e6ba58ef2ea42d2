import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Path } from '../src/pointer.js'
import { type Process, until, World } from './opened.js'

// A view whose reference or base becomes another one: it stays where it is the same, in every process, and is told of changes there from then on.

let world: World
let processes: readonly Process[]
let tenant = 0

beforeAll(async () => {
  world = await World.create()
  processes = [await world.open(), await world.open()]
  await seenTables()
})
afterAll(() => world?.drop())
beforeEach(() => {
  tenant++
})

const tree = (process: Process, config = 'app') => process.trees.tree(`T${tenant}`, config)

/** That the tables were made is a change of definitions, and drops what is kept when it is seen, up to a second later: with this one, if not before. */
async function seenTables(): Promise<void> {
  const seen = processes.map(
    ({ cache }) =>
      new Promise<void>((resolve) => {
        cache.on('applied', ({ changes }) => {
          if (Object.keys(changes).some((change) => change.startsWith('tidemark_trees.config_edits '))) resolve()
        })
      }),
  )
  await world.admin.query('alter table tidemark_trees.config_edits add column another int')
  await Promise.all(seen)
}

/** Reads views in both processes until they are kept. */
async function fill(paths: readonly Path[]): Promise<void> {
  for (const process of processes) {
    await process.cache.settled()
    for (const path of paths) {
      const node = tree(process).node(path)
      await until(
        async () => (await node.ask()).from === 'l1',
        () => `${path}: ${node.explain().text}`,
      )
    }
  }
}

/** Does it, and says of each process which of its views stayed, and which are not there now. */
async function after(paths: readonly Path[], edit: () => Promise<unknown>) {
  const told = processes.map((process) => {
    const stayed = new Set<string>()
    const unlisten = process.cache.on('stayed', ({ key }) => stayed.add(key))
    return { process, stayed, unlisten }
  })
  await edit()
  const found = []
  for (const { process, stayed, unlisten } of told) {
    await process.cache.settled()
    unlisten()
    const nodes = paths.map((path) => tree(process).node(path))
    found.push({
      stayed: nodes.filter(({ key }) => stayed.has(key)).map(({ path }) => path),
      values: await Promise.all(nodes.map((node) => node.get())),
    })
  }
  expect(found[1]).toEqual(found[0])
  return found[0]!
}

it('what is not there below a node that becomes a reference, and is not there where that leads, stays; and goes when it comes there', async () => {
  const app = tree(processes[0]!)
  await tree(processes[0]!, 'other').put('', { value: { b: { y: 1 } } })
  await app.put('', { value: { a: 1 } })
  const paths = ['/a/x', '/a/y']
  await fill(paths)
  const referred = await after(paths, () => app.put('/a', { value: { $ref: 'other#/b' } }))
  expect(referred).toEqual({ stayed: ['/a/x'], values: [undefined, 1] })
  await fill(paths)
  const come = await after(paths, () => tree(processes[0]!, 'other').put('/b/x', { value: 2 }))
  expect(come).toEqual({ stayed: [], values: [2, 1] })
})

it('what a reference led to nothing stays when it is taken away, and goes when a node of its own comes', async () => {
  const app = tree(processes[0]!)
  await app.put('', { value: { a: { $ref: '#/nowhere' } } })
  await fill(['/a/x'])
  expect((await after(['/a/x'], () => app.put('/a', { value: {} }))).stayed).toEqual(['/a/x'])
  await fill(['/a/x'])
  expect(await after(['/a/x'], () => app.put('/a/x', { value: 1 }))).toEqual({ stayed: [], values: [1] })
})

it('objects to which a new base adds nothing stay, and what is there in neither; both go when the base gets something for them', async () => {
  const app = tree(processes[0]!)
  const base = tree(processes[0]!, 'base')
  await base.put('', { value: { own: 1, theirs: 1 } })
  await app.put('', { value: { a: { b: 1 }, own: 2 } })
  const paths = ['', '/a', '/a/x']
  await fill(paths)
  expect((await after(paths, () => app.extend({ config: 'base' }))).stayed).toEqual(['/a', '/a/x'])
  await fill(paths)
  const { stayed, values } = await after(paths, () => base.put('/a', { value: { x: 3 } }))
  expect(stayed).toEqual([])
  expect(values).toEqual([{ own: 2, theirs: 1, a: { x: 3, b: 1 } }, { x: 3, b: 1 }, 3])
})

it('what is declared to go along goes, though it is the same', async () => {
  const app = tree(processes[0]!)
  await app.put('', { value: { a: 1, b: 1 } })
  await app.put('/b', { value: 2 }, { dependencies: ['/a/x'] })
  await fill(['/a/x'])
  expect((await after(['/a/x'], () => app.put('/a', { value: { $ref: '#/b' } }))).stayed).toEqual([])
  await fill(['/a/x'])
  const { cache } = processes[0]!
  const before = cache.counters.stayed
  await after(['/a/x'], () => app.put('/b', { value: 3 }))
  expect(cache.counters.stayed).toBe(before)
})
