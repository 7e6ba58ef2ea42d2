import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import { CycleError } from '../errors.js'
import { FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  return { clock, source, cache: createCache({ source, clock }) }
}

async function settledAs(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error)
}

describe('waits of loaders for each other', () => {
  test('a loader that reads its own key is a cycle, at once', async () => {
    const { cache } = bed()
    const self: (id: number) => Promise<number> = cache.define('self', (_, id: number): Promise<number> => self(id))
    const error = await settledAs(self(1))
    expect(error).toBeInstanceOf(CycleError)
    expect((error as Error).message).toContain('self(1)')
  })

  test('two loaders that read each other are a cycle, from whichever side', async () => {
    const { cache } = bed()
    const a: () => Promise<number> = cache.define('a', (): Promise<number> => b())
    const b: () => Promise<number> = cache.define('b', (): Promise<number> => a())
    expect(await settledAs(a())).toMatchObject({ code: 'TIDEMARK_CYCLE' })
    expect(await settledAs(b())).toMatchObject({ code: 'TIDEMARK_CYCLE' })
    const both = await Promise.all([settledAs(a()), settledAs(b())])
    expect(both).toMatchObject([{ code: 'TIDEMARK_CYCLE' }, { code: 'TIDEMARK_CYCLE' }])
    expect(cache.status().filling).toBe(0)
  })

  test('three loaders in a ring are a cycle, and a diamond is none', async () => {
    const { cache } = bed()
    const ring: (id: number) => Promise<number> = cache.define(
      'ring',
      (_, id: number): Promise<number> => ring((id + 1) % 3),
    )
    const all = await Promise.all([0, 1, 2].map((id) => settledAs(ring(id))))
    for (const error of all) expect(error).toMatchObject({ code: 'TIDEMARK_CYCLE' })

    const bottom = cache.define('bottom', async () => rest().then(() => 1), { static: true })
    const left = cache.define('left', () => bottom())
    const right = cache.define('right', () => bottom())
    const top = cache.define('top', async () => {
      const [l, r] = await Promise.all([left(), right()])
      return l + r
    })
    expect(await top()).toBe(2)
    expect(cache.counters.joined).toBeGreaterThan(0)
  })

  test('a cycle that closes only after both sides began is found when it closes', async () => {
    const { cache } = bed()
    const gates = { a: new Gate(), b: new Gate() }
    const a: () => Promise<string> = cache.define('a', async (): Promise<string> => {
      await gates.a.passed
      return b()
    })
    const b: () => Promise<string> = cache.define('b', async (): Promise<string> => {
      await gates.b.passed
      return a()
    })
    const both = [settledAs(a()), settledAs(b())]
    await rest()
    gates.a.open()
    await rest()
    gates.b.open()
    expect(await Promise.all(both)).toMatchObject([{ code: 'TIDEMARK_CYCLE' }, { code: 'TIDEMARK_CYCLE' }])
  })

  test('a loader that catches the cycle and loads by itself gets through', async () => {
    const { cache } = bed()
    const a: () => Promise<string> = cache.define('a', (): Promise<string> => b())
    const b: () => Promise<string> = cache.define('b', (): Promise<string> => a().catch(() => 'own'))
    expect(await a()).toBe('own')
  })

  test('two readers of one loader that reads the same inner key twice at once are no cycle', async () => {
    const { cache } = bed()
    const inner = cache.define('inner', async (_, id: number) => rest().then(() => id), { static: true })
    const outer = cache.define('outer', async () => (await Promise.all([inner(1), inner(1), inner(2)])).join())
    expect(await Promise.all([outer(), outer()])).toEqual(['1,1,2', '1,1,2'])
    expect(cache.counters.loads).toBe(3)
  })

  test('a cycle across an expired entry with grace and a soft timeout never hangs', async () => {
    const { cache, clock } = bed()
    let isCyclic = false
    const a: () => Promise<string> = cache.define('a', (): Promise<string> | string => (isCyclic ? a() : 'v'), {
      ttl: '1m',
      grace: '1h',
      softTimeout: '10s',
    })
    await a()
    isCyclic = true
    await clock.advance(60_000)
    expect(await a()).toBe('v')
  })
})
