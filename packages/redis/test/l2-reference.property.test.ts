import fc from 'fast-check'
import type { L2, L2Answer, L2Batch } from 'tidemark'
import { MemoryL2 } from 'tidemark/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillOf, openL2 } from './opened.js'
import { RedisServer } from './redis-server.js'

// The scripts might differ from the contract where no case of it looks: in what is compared first, in the order of batches that overlap, in
// what several entries in one call do to each other. The L2 in memory is the contract in as few words as it takes.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 150)

const lsn = fc.integer({ min: 1, max: 30 })
const name = fc.constantFrom('a', 'b', 'c')
const shape = fc.constantFrom('tag', 'key', 'row')
const epoch = fc.constantFrom('e', 'e', 'e', 'e', 'f')
/** What an entry depends on goes by its key, as it mostly does. */
const stampsOf: Readonly<Record<string, readonly { shape: string; name: string }[]>> = {
  k1: [{ shape: 'tag', name: 'a' }],
  k2: [
    { shape: 'tag', name: 'b' },
    { shape: 'key', name: 'a' },
  ],
  k3: [
    { shape: 'row', name: 'a' },
    { shape: 'row', name: 'b' },
    { shape: 'tag', name: 'a' },
  ],
  k4: [{ shape: 'key', name: 'c' }],
}
const key = fc.constantFrom(...Object.keys(stampsOf))

type Step =
  | { readonly do: 'fill'; readonly epoch: string; readonly entries: readonly (readonly [string, number])[] }
  | { readonly do: 'read' }
  | { readonly do: 'flush' }
  | {
      readonly do: 'tell'
      readonly epoch: string
      readonly prev: number
      readonly length: number
      readonly marks: readonly {
        readonly shape: string
        readonly name: string | undefined
        readonly pattern?: string
        readonly isExpiry?: boolean
      }[]
      readonly mayReset: boolean
      readonly isInformed: boolean
    }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('fill' as const),
      epoch,
      // Together in one script; each key once, as the order in which two calls for one arrive is nobody's to know.
      entries: fc.uniqueArray(fc.tuple(key, lsn), { maxLength: 4, selector: ([each]) => each }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('tell' as const),
      epoch,
      prev: lsn,
      length: fc.nat(6),
      marks: fc.array(
        fc.oneof(
          { weight: 3, arbitrary: fc.record({ shape, name: fc.option(name, { nil: undefined }) }) },
          { weight: 1, arbitrary: fc.record({ shape, name, isExpiry: fc.constant(true) }) },
          {
            weight: 1,
            arbitrary: fc.record({ shape, name: fc.constant(undefined), pattern: fc.constantFrom('p', 'é') }),
          },
        ),
        { maxLength: 4 },
      ),
      mayReset: fc.boolean(),
      isInformed: fc.boolean(),
    }),
  },
)

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.drop())

test('L2 in Redis does what the one in memory does', async () => {
  const redis = await openL2(server)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await server.admin.flushall()
      const both = [redis, new MemoryL2()] as const
      const ids: (string | undefined)[] = [undefined, undefined]
      for (const each of steps) {
        if (each.do === 'flush') {
          await server.admin.flushall()
          both[1].flush()
          continue
        }
        const [found, wanted] = await Promise.all(both.map((l2, i) => done(l2, each, ids, i)))
        expect(found).toEqual(wanted)
      }
    }),
    { numRuns: RUNS },
  )
  await redis.close()
})

async function done(l2: L2, step: Exclude<Step, { do: 'flush' }>, ids: (string | undefined)[], which: number) {
  switch (step.do) {
    case 'fill':
      return Promise.all(
        step.entries.map(([key, lsn]) => l2.fill(key, fillOf(lsn, { epoch: step.epoch, stamps: stampsOf[key]! }))),
      )
    case 'read':
      return Promise.all(
        Object.keys(stampsOf).map(async (key) => {
          const { tide, entry, patterns, isExpired } = await l2.read(key)
          return { tide, isExpired, patterns: patterns && [...patterns].sort(), lsn: entry?.lsn, value: entry?.value }
        }),
      )
    case 'tell': {
      const { epoch, prev, length, mayReset } = step
      const marks = step.marks.map((mark, i) => ({ ...mark, lsn: prev + Math.min(length, i + 1) }))
      const shapes = step.isInformed ? ids[which] : undefined
      const batch: L2Batch = { epoch, prev, end: prev + length, shapes, marks: length === 0 ? [] : marks, mayReset }
      const answer = await l2.invalidate(batch)
      if (answer.state === 'shapes') ids[which] = answer.shapesId
      return told(answer)
    }
  }
}

/** The ids are drawn at random. */
function told({ state, m, shapes }: L2Answer) {
  return { state, m, shapes: shapes && [...shapes].sort() }
}
