import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Process, World } from './opened.js'

let world: World
let process: Process

beforeAll(async () => {
  world = await World.create()
  process = await world.open({ limits: { editNodesMax: 6_000 } })
})
afterAll(() => world?.drop())

it('a patch of many operations takes time by what they touch, lets others have their turn, and ends', async () => {
  const tree = process.trees.tree('T1', 'many')
  await tree.put('', { value: { list: [], object: {} } })
  const patch = (count: number, operation: (n: number) => object) =>
    tree.patch({ value: Array.from({ length: count }, (_, n) => operation(n)) })

  await patch(1_000, (n) => ({ op: 'add', path: '/list/-', value: n }))
  await patch(1_000, (n) => ({ op: 'add', path: `/object/m${n}`, value: n }))
  await patch(1_000, (n) => ({ op: 'replace', path: `/object/m${n}`, value: -n }))
  await patch(1_000, (n) => ({ op: 'remove', path: `/object/m${n}` }))
  const { position } = await patch(100, () => ({ op: 'add', path: '/list/0', value: 'first' }))
  const { value } = await tree.node('/list').ask({ minPosition: position! })
  const list = JSON.parse(value!.json) as unknown[]
  expect(list).toHaveLength(1_100)
  expect(list.slice(98, 102)).toEqual(['first', 'first', 0, 1])

  let turns = 0
  const turning = setInterval(() => turns++, 5)
  const refused = patch(6_000, () => ({ op: 'add', path: '/list/0', value: 'first' }))
  await expect(refused).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_LIMIT',
    message: expect.stringContaining('as a whole'),
  })
  clearInterval(turning)
  expect(turns).toBeGreaterThan(20)
}, 120_000)
