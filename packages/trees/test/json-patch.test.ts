import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Process, World } from './opened.js'

/* The public suite of JSON Patch (RFC 6902), case by case, on trees in PostgreSQL. */

interface Case {
  readonly comment?: string
  readonly doc: unknown
  readonly patch: unknown
  readonly expected?: unknown
  readonly error?: string
  readonly disabled?: boolean
}

const require = createRequire(import.meta.url)
const files = ['spec_tests.json', 'tests.json'] as const

let world: World
let process: Process

beforeAll(async () => {
  world = await World.create()
  process = await world.open()
})
afterAll(() => world?.drop())

describe.each(files)('%s', (file) => {
  const cases = (require(`json-patch-test-suite/${file}`) as Case[]).filter(({ disabled }) => disabled !== true)

  it.each(cases.map((each, index) => [index, each.comment ?? each.error ?? JSON.stringify(each.patch), each] as const))(
    '%i: %s',
    async (index, _, { doc, patch, expected, error }) => {
      const tree = process.trees.tree('patched', `${file.split('.')[0]}-${index}`)
      await tree.put('', { value: doc })
      const patched = tree.patch({ value: patch })
      if (error !== undefined) {
        await expect(patched, error).rejects.toMatchObject({ code: 'TIDEMARK_TREE_PATCH' })
        // All or nothing.
        expect(await tree.node().get()).toEqual(doc)
        return
      }
      const { position } = await patched
      const read = await tree.node().get(position === undefined ? {} : { minPosition: position })
      if (expected !== undefined) expect(read).toEqual(expected)
    },
  )
})
