import { afterAll, beforeAll, expect, it } from 'vitest'
import { World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create()
})

afterAll(() => world?.drop())

it('references that multiply are refused before they take all memory', async () => {
  const { trees } = await world.open()
  const tree = trees.tree('T1', 'multiplied')
  const members = (of: object) => Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, of]))
  const levels = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`d${i}`, members({ $ref: `#/d${i + 1}` })]))
  const text = 'x'.repeat(100)
  // Fifty times fifty of them are what a page may have.
  await tree.put('', { value: { ...levels(2), d2: text } })
  expect(await tree.node('/d0/k49/k49').get()).toBe(text)
  await expect(tree.put('', { value: { ...levels(5), d5: text } })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_LIMIT',
  })
  expect(await tree.node('/d0/k49/k49').get()).toBe(text)
})
