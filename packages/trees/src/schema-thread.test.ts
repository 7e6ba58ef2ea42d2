import { describe, expect, test } from 'vitest'
import { checkSchema } from './schema-thread.js'

const MAX_MS = 1_000
/** What other programs on the machine may take; in this thread each of these schemas would hold it for more than MAX_MS. */
const HELD_MAX_MS = 500

/** What was thrown, and the longest time for which this thread did nothing else meanwhile. */
async function outcome(
  schema: object,
  tree?: unknown,
  maxMs = 20_000,
  tenant = 'T1',
): Promise<{ error: unknown; heldMs: number }> {
  const json = tree === undefined ? undefined : JSON.stringify(tree)
  const text = JSON.stringify(schema)
  let heldMs = 0
  let last = performance.now()
  const timer = setInterval(() => {
    heldMs = Math.max(heldMs, performance.now() - last)
    last = performance.now()
  }, 1)
  const error = await checkSchema(tenant, text, json, maxMs).catch((reason: unknown) => reason)
  clearInterval(timer)
  return { error, heldMs: Math.max(heldMs, performance.now() - last) }
}

const many = <Item>(count: number, item: (i: number) => Item): Item[] =>
  Array.from({ length: count }, (_, i) => item(i))

/** Definitions each of which refers to the next one, twice. */
function doubling(levels: number, of: (next: object) => object): object {
  const $defs = Object.fromEntries(many(levels, (i) => [`a${i}`, of({ $ref: `#/$defs/a${i + 1}` })]))
  return { $ref: '#/$defs/a0', $defs: { ...$defs, [`a${levels}`]: { type: 'string' } } }
}

describe('a schema that asks for too much is refused, and holds up nobody', () => {
  test.each<[string, object, unknown]>([
    ['anyOf that doubles', doubling(40, (next) => ({ anyOf: [next, next] })), 1],
    ['allOf that doubles', doubling(40, (next) => ({ allOf: [next, next] })), 1],
    [
      'unevaluatedProperties of anyOf that doubles',
      doubling(40, (next) => ({ anyOf: [next, next], unevaluatedProperties: false })),
      { a: 1 },
    ],
    [
      'dependentSchemas that double',
      doubling(40, (next) => ({ dependentSchemas: { a: next, b: next } })),
      { a: 1, b: 2 },
    ],
    ['items that are unique', { uniqueItems: true }, many(20_000, (i) => ({ a: i }))],
    [
      'an enum of thousands of objects',
      { items: { enum: many(9_000, (k) => ({ k })) } },
      many(9_000, () => ({ k: -1 })),
    ],
    [
      'millions of things that are wrong',
      { items: { allOf: many(500, (i) => ({ minimum: i + 1 })) } },
      many(20_000, () => 0),
    ],
    [
      'contains, with thousands of choices',
      { contains: { anyOf: many(400, (i) => ({ const: i })) }, minContains: 5_000 },
      many(20_000, () => -1),
    ],
    [
      'more properties than can be compiled',
      { properties: Object.fromEntries(many(20_000, (i) => [`k${i}`, { minLength: 2 }])) },
      {},
    ],
    [
      'a pattern of tens of thousands of parts',
      { pattern: 'a?'.repeat(20_000) + 'a'.repeat(20_000) },
      'a'.repeat(20_000),
    ],
    ['a reference to itself', { $ref: '#' }, 1],
    ['a dynamic reference to itself', { $dynamicAnchor: 'n', anyOf: [{ $dynamicRef: '#n' }] }, 1],
  ])('%s', async (_, schema, tree) => {
    const { error, heldMs } = await outcome(schema, tree, MAX_MS)
    expect(error).toMatchObject({ code: 'TIDEMARK_TREE_LIMIT' })
    expect(heldMs).toBeLessThan(HELD_MAX_MS)
  })

  test('patterns run in linear time', async () => {
    const schema = { items: { pattern: '^(a+)+$' } }
    const { error } = await outcome(
      schema,
      many(20, () => `${'a'.repeat(5_000)}b`),
    )
    expect(error).toMatchObject({ code: 'TIDEMARK_TREE_SCHEMA' })
  })

  test('who asks behind it is answered', async () => {
    const bomb = outcome(
      doubling(40, (next) => ({ anyOf: [next, next] })),
      1,
      MAX_MS,
    )
    const others = many(3, (i) => outcome({ type: i === 1 ? 'string' : 'number' }, 1))
    expect((await bomb).error).toMatchObject({ code: 'TIDEMARK_TREE_LIMIT' })
    const [first, second, third] = await Promise.all(others)
    expect(first!.error).toBe(undefined)
    expect(second!.error).toMatchObject({
      code: 'TIDEMARK_TREE_SCHEMA',
      problems: [{ path: '', message: 'must be string' }],
    })
    expect(third!.error).toBe(undefined)
  })

  test('who asks much waits for the others, and not they for all of it', async () => {
    const bomb = doubling(40, (next) => ({ anyOf: [next, next] }))
    const answered: string[] = []
    const ask = (tenant: string, schema: object) =>
      outcome(schema, 1, schema === bomb ? 300 : 20_000, tenant).then(({ error }) =>
        answered.push(error === undefined ? tenant : `${tenant}: refused`),
      )
    const small = { type: 'number' }
    await Promise.all([...many(4, () => ask('T1', bomb)), ask('T2', small), ask('T3', small), ask('T2', small)])
    const late = 'T1: refused'
    expect(answered).toEqual([late, 'T2', 'T3', late, 'T2', late, late])
  })

  test('what is no schema is refused as such, without a tree', async () => {
    expect((await outcome({ type: 'strange' })).error).toMatchObject({ code: 'TIDEMARK_TREE_VALUE' })
    expect((await outcome({ pattern: '(' })).error).toMatchObject({ code: 'TIDEMARK_TREE_VALUE' })
    expect((await outcome({ type: 'object' })).error).toBe(undefined)
  })
})
