import { afterAll, beforeAll, expect, it } from 'vitest'
import { World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create()
})
afterAll(() => world?.drop())

it('what the database does not answer ends, takes no connection along, and changes nothing afterwards', async () => {
  const { trees } = await world.open({ limits: { transactionMaxMs: 2_000 } })
  const tree = trees.tree('T1', 'frozen')
  await tree.put('', { value: { a: 1 } })
  await world.admin.query(
    'begin; lock table tidemark_trees.configs, tidemark_trees.config_heads, tidemark_trees.config_edits in access exclusive mode',
  )
  const down = { code: 'TIDEMARK_SOURCE_DOWN', message: expect.stringContaining('transactionMaxMs') }
  // More than the pool has connections.
  const edits = Array.from({ length: 12 }, (_, n) => tree.put(`/b${n}`, { value: n }))
  const reads = [tree.history(), tree.head(), trees.configs('T1')]
  const ended = await Promise.allSettled([...edits, ...reads])
  for (const each of ended) expect(each).toMatchObject({ status: 'rejected', reason: down })
  await world.admin.query('rollback')
  await tree.put('/c', { value: 2 })
  const { rows } = await world.admin.query(
    "select path from tidemark_trees.configs where config = 'frozen' order by path",
  )
  expect(rows.map((row) => row.path)).toEqual(['', '/a', '/c'])
}, 30_000)

it('edits of one tenant that wait leave connections to the others', async () => {
  const { trees } = await world.open()
  const [hot, other] = [trees.tree('T1', 'hot'), trees.tree('T2', 'other')]
  await hot.put('', { value: {} })
  await world.admin.query("begin; select from tidemark_trees.config_heads where config = 'hot' for update")
  // More than the pool has connections.
  const edits = Array.from({ length: 25 }, (_, n) => hot.put(`/b${n}`, { value: n }))
  const ended = Promise.all(edits)
  await other.put('', { value: 1 })
  expect(await other.history()).toHaveLength(1)
  await world.admin.query('rollback')
  expect((await ended).map(({ version }) => version).sort((a, b) => a - b)).toEqual(edits.map((_, n) => n + 2))
}, 30_000)
