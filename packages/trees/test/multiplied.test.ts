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

it('what a view takes in by references has a limit, inherited or not', async () => {
  const { trees } = await world.open({ limits: { referredCharactersMax: 1_000 } })
  const other = trees.tree('T1', 'long')
  const base = trees.tree('T1', 'base-of-references')
  const heir = trees.tree('T1', 'heir-of-references')
  const tooLong = { code: 'TIDEMARK_TREE_LIMIT', message: expect.stringContaining('referredCharactersMax') }
  const text = 'x'.repeat(498) // 500 characters as JSON
  await other.put('', { value: { text } })
  await base.put('', { value: { a: { $ref: 'long#/text' }, b: { $ref: 'long#/text' }, own: 'y'.repeat(2_000) } })
  await heir.put('', { value: { z: 1 } })
  await heir.extend({ config: 'base-of-references' })
  expect(await heir.node('').get()).toMatchObject({ a: text, b: text, z: 1 })
  await expect(base.put('/c', { value: { $ref: 'long#/text' } })).rejects.toMatchObject(tooLong)

  // What is referred to grows after it was referred to.
  const { position } = await other.put('/text', { value: `${text}x` })
  const asked = { minPosition: position! }
  await expect(base.node('').get(asked)).rejects.toMatchObject(tooLong)
  await expect(heir.node('').get(asked)).rejects.toMatchObject(tooLong)
  expect(await heir.node('/a').get(asked)).toBe(`${text}x`)
})
