import { deepStrictEqual as equal } from 'node:assert/strict'
import fc from 'fast-check'
import type { L2, L2Answer, L2Batch, L2Fill, L2Stamp } from 'tidemark'
import { MemoryL2 } from 'tidemark/testing'
import { expect, test } from 'vitest'
import { lmdbL2 } from '../src/index.js'
import { temporaryFolder } from './temporary-folder.js'

// The file might answer otherwise than the L2 in memory, which is the contract in few words: take or refuse another fill, find
// another entry, stand elsewhere, name other shapes. Two of the file's handles are used in turn, as two processes would.

const SHAPES = ['["table","a"]', '["table","b"]', 'c', 'wide']
const NAMES = ['', '1', '2', '\ud800', 'x'.repeat(600)]
const STAMPS_MAX = 100
/** There are more, and some have wide ones. */
const SHAPES_MAX = 2
const EPOCHS = ['one', 'two']

interface Step {
  readonly handle: number
  readonly call:
    | { readonly is: 'read'; readonly key: string }
    | { readonly is: 'fill'; readonly key: string; readonly entry: Omit<L2Fill, 'value' | 'dependencies' | 'ageMs'> }
    | { readonly is: 'invalidate'; readonly batch: Omit<L2Batch, 'shapes'>; readonly knowsShapes: boolean }
}

const lsn = fc.integer({ min: 0, max: 12 })
const key = fc.constantFrom('a', 'b', 'k'.repeat(500), '\udfff')
const shape = fc.constantFrom(...SHAPES)
const name = fc.constantFrom(...NAMES)
// Mostly one: the other starts all anew.
const epoch = fc.oneof(
  { weight: 19, arbitrary: fc.constant('one') },
  { weight: 1, arbitrary: fc.constantFrom(...EPOCHS) },
)
const pattern = fc.constantFrom('é*', 'b')
const mark = fc.oneof(
  { weight: 3, arbitrary: fc.record({ lsn, shape, name: fc.option(name, { nil: undefined, freq: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ lsn, shape, name, isExpiry: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ lsn, shape, name: fc.constant(undefined), pattern }) },
)

const call: fc.Arbitrary<Step['call']> = fc.oneof(
  fc.record({ is: fc.constant('read' as const), key }),
  fc.record({
    is: fc.constant('fill' as const),
    key,
    entry: fc.record({
      epoch,
      lsn,
      stamps: fc.uniqueArray(fc.record({ shape, name }).map(withWide), {
        minLength: 1,
        maxLength: 3,
        selector: (s) => s.shape + s.name,
      }),
      remainingMs: fc.constantFrom(600_000, Number.POSITIVE_INFINITY, 0),
    }),
  }),
  fc.record({
    is: fc.constant('invalidate' as const),
    knowsShapes: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    batch: fc
      .record({ epoch, from: lsn, length: fc.nat(4), marks: fc.array(mark, { maxLength: 6 }), mayReset: fc.boolean() })
      .map(({ epoch, from, length, marks, mayReset }) => ({
        epoch,
        prev: from,
        end: from + length,
        marks: marks.filter((m) => m.lsn > from && m.lsn <= from + length).sort((one, other) => one.lsn - other.lsn),
        mayReset,
      })),
  }),
)
const steps = fc.array(fc.record({ handle: fc.nat(1), call }), { minLength: 5, maxLength: 60 })

function withWide({ shape, name }: { shape: string; name: string }): L2Stamp {
  return shape === 'c' ? { shape, name } : { shape, name, wide: { shape: 'wide', name: '' } }
}

/** What one of them said, without what is drawn at random or goes by time. */
async function said(l2: L2, ids: Ids, { call }: Step, at: number): Promise<unknown> {
  switch (call.is) {
    case 'read': {
      const { tide, entry, patterns, isExpired } = await l2.read(call.key)
      return {
        tide,
        isExpired,
        patterns: patterns && [...patterns].sort(),
        entry: entry && { ...entry, ageMs: 0, remainingMs: Math.ceil(entry.remainingMs / 10_000) },
      }
    }
    case 'fill':
      return l2.fill(call.key, { ...call.entry, value: { at, [`n${at % 3}`]: [at] }, dependencies: [], ageMs: 5 })
    case 'invalidate': {
      const known = call.knowsShapes ? ids.last : 'other'
      const marks = call.batch.marks.filter(({ shape }) => ids.shapes.includes(shape))
      const answer = await l2.invalidate({ ...call.batch, marks, shapes: known })
      ids.learn(answer)
      return { state: answer.state, m: answer.m, shapes: answer.shapes && [...answer.shapes].sort() }
    }
  }
}

/** The ids that one of them gave to its shapes. */
class Ids {
  last: string | undefined
  shapes: readonly string[] = []

  learn({ state, shapesId, shapes }: L2Answer): void {
    if (state !== 'shapes') return
    this.last = shapesId
    this.shapes = shapes!
  }
}

test('the file answers what the L2 in memory answers, whichever process asks', async () => {
  let stored = 0
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      const folder = temporaryFolder()
      const memory = new MemoryL2({ stampsMax: STAMPS_MAX, shapesMax: SHAPES_MAX })
      const handles = [0, 1].map(() =>
        lmdbL2({ path: folder.path, stampsMax: STAMPS_MAX, shapesMax: SHAPES_MAX, deadline: '60s' }),
      )
      const [theirs, ours] = [new Ids(), new Ids()]
      try {
        for (const [at, step] of steps.entries()) {
          const expected = await said(memory, theirs, step, at)
          equal(await said(handles[step.handle]!, ours, step, at), expected)
          if (expected === 'stored') stored++
        }
      } finally {
        for (const handle of handles) await handle.close()
        folder.remove()
      }
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 150) },
  )
  expect(stored).toBeGreaterThan(0)
})
