import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCache } from '../create.js'
import { ManualClock } from '../testing/index.js'

// However entries and patterns come and go, in whatever slices, a pattern might miss an entry or take one that it does not name: by an
// index that lost a key or found one twice, by a slot or a dependency that was used again, or by a sweep that came too late. The model is a
// Map of keys to what each was computed from.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 200)

class SteppingClock extends ManualClock {
  lookMs = 0

  override now(): number {
    if (this.lookMs > 0) this.freeze(this.lookMs)
    return super.now()
  }
}

const letters = ['a', 'b', ':']
const key = fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 4 })
const part = fc.constantFrom('a', 'b', ':', '*', '*', '?', '[ab]')
const pattern = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
const tenant = fc.constantFrom('t', 'u')

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('fill' as const), tenant, key, from: fc.array(key, { maxLength: 2 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('invalidate' as const), tenant, pattern, isRegex: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('all' as const), tenant }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('key' as const), tenant, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('time' as const), slices: fc.nat(3) }) },
)

test('a pattern makes stale exactly what it names, and what was computed from that', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.constantFrom(0, 3, 9),
      fc.constantFrom(3, 1_000),
      async (steps, lookMs, maxEntries) => {
        const clock = new SteppingClock()
        const cache = createCache({ clock, l1: { maxEntries } })
        /** tenant and key → the keys that it depends on, its own among them. */
        const model = new Map<string, ReadonlySet<string>>()
        const drop = (tenant: string, isNamed: (key: string) => boolean): void => {
          for (const [name, from] of model) if (name.startsWith(tenant) && [...from].some(isNamed)) model.delete(name)
        }
        for (const each of steps) {
          if (each.do === 'time') {
            for (let slice = 0; slice < each.slices; slice++) await clock.advance(0)
            continue
          }
          const view = cache.tenant(each.tenant)
          if (each.do === 'fill') await fill(each)
          clock.lookMs = lookMs
          if (each.do === 'invalidate') {
            const regex = `^${each.pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`
            await view.invalidate({ pattern: each.isRegex ? { regex } : each.pattern })
            drop(each.tenant, (key) => new RegExp(regex).test(key))
          } else if (each.do === 'all') {
            await view.invalidate({ all: 'tenant' })
            drop(each.tenant, () => true)
          } else if (each.do === 'key') {
            await view.invalidate({ keys: [each.key] })
            drop(each.tenant, (key) => key === each.key)
          }
          clock.lookMs = 0
          if (maxEntries > 100) check()
        }
        await clock.advance(10_000)
        check()
        // Eviction takes more.
        if (maxEntries > 100) expect(cache.status().entries).toBe(model.size)
        else expect(cache.status().entries).toBeLessThanOrEqual(model.size)
        expect(clock.timers).toBe(0)

        async function fill({ tenant, key, from }: { tenant: string; key: string; from: readonly string[] }) {
          const view = cache.tenant(tenant)
          const own = new Set([key])
          await view.get(key, async () => {
            for (const inner of from) {
              if (inner === key) continue
              await view.get(inner, () => {
                model.set(`${tenant} ${inner}`, new Set([inner]))
                return inner
              })
              for (const name of model.get(`${tenant} ${inner}`)!) own.add(name)
            }
            model.set(`${tenant} ${key}`, own)
            return key
          })
        }

        function check(): void {
          for (const tenant of ['t', 'u']) {
            for (const name of cachedKeys()) {
              const isThere = cache.tenant(tenant).peek(name) !== undefined
              if (maxEntries > 100)
                expect([tenant, name, isThere]).toEqual([tenant, name, model.has(`${tenant} ${name}`)])
              else if (isThere) expect(model.has(`${tenant} ${name}`)).toBe(true)
            }
          }
        }

        function cachedKeys(): Set<string> {
          return new Set(steps.flatMap((each) => (each.do === 'fill' ? [each.key, ...each.from] : [])))
        }
      },
    ),
    { numRuns: RUNS },
  )
})
