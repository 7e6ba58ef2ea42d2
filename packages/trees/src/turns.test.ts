import type { PoolClient } from 'pg'
import { expect, it } from 'vitest'
import { Assembly } from './assembly.js'
import { Draft } from './draft.js'
import { jsonOf } from './json.js'
import { limitsOf } from './limits.js'
import type { Node } from './nodes.js'
import { nodesOf } from './stored.js'
import type { View, Views } from './view.js'

/* What is in memory waits for nothing: unless it gives others their turn, they have none before it ends. */

const CONFIG = { tenant: 'T1', config: 'c' }
const COUNT = 9_000
/** Each takes much longer than so many turns. */
const TURNS_MIN = 3

/** How many turns of the event loop others have until it ends. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let next: NodeJS.Immediate
  const turn = () => {
    turns++
    next = setImmediate(turn)
  }
  next = setImmediate(turn)
  await work()
  clearImmediate(next)
  return turns
}

function node(path: string, text: string, order = 0): [string, Node] {
  return [path, { path, text, order, version: 1 }]
}

const views = {
  atOnce: 16,
  get: async (): Promise<View> => ({ json: '1', version: 1, hash: 'h', referred: 0 }),
  names: async () => Array.from({ length: COUNT }, (_, i) => `k${i}`),
} as unknown as Views

it('thousands of references, all of them cached, let others have their turn', async () => {
  const many = Array.from({ length: COUNT }, (_, i) => [node(`/k${i}`, '{}', i), node(`/k${i}/$ref`, '"#/t"')]).flat()
  const nodes = new Map([node('', '{}'), ...many])
  let text: string | null = null
  const turns = await turnsDuring(async () => {
    text = await (await Assembly.of(views, CONFIG, nodes, 1_000_000)).text('', undefined)
  })
  expect(text).toBe(`{${Array.from({ length: COUNT }, (_, i) => `"k${i}":1`).join(',')}}`)
  expect(turns).toBeGreaterThan(TURNS_MIN)
})

it('and so do thousands of inherited nodes', async () => {
  const nodes = new Map([node('', '{}')])
  const assembled = async () =>
    (await Assembly.of(views, CONFIG, nodes, 1_000_000)).text('', { ...CONFIG, config: 'b' })
  expect(await turnsDuring(assembled)).toBeGreaterThan(TURNS_MIN)
})

it('and rows that become nodes', async () => {
  const rows = Array.from({ length: 100_000 }, (_, i) => ['node', `/k${i}`, '1', String(i), '1'])
  expect(await turnsDuring(() => nodesOf(rows))).toBeGreaterThan(TURNS_MIN)
})

it('and an edit of thousands of nodes', async () => {
  const client = { query: async () => ({ rows: [] }) } as unknown as PoolClient
  const limits = limitsOf({})
  const draft = new Draft(client, CONFIG, 0, limits)
  const json = jsonOf(Object.fromEntries(Array.from({ length: COUNT }, (_, i) => [`k${i}`, i])), limits)
  expect(await turnsDuring(() => draft.put('', json))).toBeGreaterThan(TURNS_MIN)
  let changes = 0
  expect(
    await turnsDuring(async () => {
      changes = (await draft.changes()).length
    }),
  ).toBeGreaterThan(0)
  expect(changes).toBe(COUNT + 1)
})
