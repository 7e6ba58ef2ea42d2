import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Cache, Pattern } from './cache.js'
import { createCache } from './create.js'

// Where keys are in order, most of them are counted without being looked at: some might be counted twice or passed over, at the bounds of what
// lies together, after others came and went, or because of what is remembered of those that have gone.

const TENANTS = ['default', 'other']
const keyOf = (n: number): string =>
  [`user:${n}`, `user:${n}:cart`, `post:${n}:t${n % 7}`, `${n}`, `\u{1f600}${n}`][n % 5]!
const keys = fc.record({
  do: fc.constantFrom('fill' as const, 'fill' as const, 'evict' as const),
  from: fc.nat(2_000),
  count: fc.constantFrom(1, 7, 400, 900),
})
const pattern: fc.Arbitrary<Pattern> = fc.oneof(
  fc.constantFrom(
    'user:*',
    'user:1*',
    '[u]s*r:*',
    '*s*r:*',
    '*1?3*',
    'post:*:t3',
    '*',
    '*cart',
    'user:?7*',
    '\u{1f600}*',
    '\u{1f600}?',
  ),
  fc
    .constantFrom(
      '^u.*:[0-9]+$',
      '^user:',
      ':[0-9]*7[0-9]+$',
      '^.*$',
      '[^0-9]',
      '^post:[0-9]+:t[35]$',
      '7',
      '(?i)CART',
      '^\\d+$',
      '^[^u]',
    )
    .map((regex) => ({ regex })),
)

test('what a pattern names is counted as one looks at each key, whether or not keys are in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(keys, { minLength: 1, maxLength: 12 }),
      fc.array(pattern, { minLength: 3, maxLength: 6 }),
      fc.boolean(),
      fc.constantFrom(0, 3, 10_000),
      async (steps, patterns, isInOrder, sampleMax) => {
        const cache = createCache({ l1: { maxEntries: 50_000 } })
        const views = TENANTS.map((name) => cache.tenant(name))
        const kept = new Set<string>()
        // From then on what comes and goes is put in order.
        if (isInOrder) await cache.count({ pattern: 'user:*' })
        for (const step of steps) await take(views, kept, step)
        for (const each of patterns) {
          const [view] = views
          const named = await view!.matching(each, [...kept])
          const counted = await view!.count({ pattern: each, sampleMax })
          expect(counted.count).toBe(named.length)
          expect(counted.sample).toHaveLength(Math.min(sampleMax, named.length))
          expect(new Set(named)).toEqual(new Set([...named, ...counted.sample]))
        }
        await cache.close()
      },
    ),
    { numRuns: 60 },
  )
})

async function take(
  views: readonly Cache[],
  kept: Set<string>,
  { do: what, from, count }: { do: 'fill' | 'evict'; from: number; count: number },
): Promise<void> {
  const names = Array.from({ length: count }, (_, i) => keyOf(from + i))
  for (const view of views) {
    if (what === 'evict') await view.evict({ keys: names })
    else for (const name of names) await view.get(name, () => 1, { static: true })
  }
  for (const name of names) {
    if (what === 'fill') kept.add(name)
    else kept.delete(name)
  }
}
