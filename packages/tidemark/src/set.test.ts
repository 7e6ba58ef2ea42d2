import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCache } from './create.js'
import { sinceRules } from './fence/fence.js'
import { FakeSource, ManualClock, rest } from './testing/index.js'
import { MemoryL2 } from './testing/memory-l2.js'

// A value that was set might outlive a change that its reader had not seen; be dropped by its own change; leave what was computed from
// the former one in place; or be kept though the log says nothing any more.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 200)

async function bed(options: { readonly proofWait?: number } = {}) {
  const source = new FakeSource()
  const clock = new ManualClock()
  const cache = createCache({ source, clock, ...options })
  await cache.settled()
  return { source, cache, clock }
}

const code = (promise: Promise<unknown>) => promise.catch((error: { code: string }) => error.code)

describe('set', () => {
  test('is a change for everybody, and an entry here that its own change does not drop', async () => {
    const { cache, source } = await bed()
    const other = createCache({ source })
    await other.settled()
    for (const each of [cache, other]) {
      await each.get('a', () => 'old', { static: true })
      await each.get('page', async () => `page of ${await each.get('a', () => 'old')}`)
    }
    const { position, notKept } = await cache.set('a', { n: 1 }, { ttl: '1m', tags: ['t'], by: { actor: 'me' } })
    expect(notKept).toBe(undefined)
    expect(cache.peek('a')).toEqual({ n: 1 })
    expect(cache.explain('a')).toMatchObject({ state: 'fresh', asOf: position, dependencies: [{ tag: 't' }] })
    expect([cache.peek('page'), other.peek('a'), other.peek('page')]).toEqual([undefined, undefined, undefined])
    expect(source.log.commits.at(-1)!.changes).toMatchObject([{ by: { actor: 'me' }, targets: [{ key: 'a' }] }])
    await Promise.all([cache.close(), other.close()])
  })

  test('is dropped by its tags, its keys and itself, and expires', async () => {
    const { cache, clock } = await bed()
    for (const named of [{ tags: ['t'] }, { keys: ['k'] }, { keys: ['a'] }, { pattern: '?' }]) {
      await cache.set('a', 1, { tags: ['t'], dependsOn: ['k'] })
      expect(cache.peek('a')).toBe(1)
      await cache.invalidate(named)
      expect(cache.peek('a'), JSON.stringify(named)).toBe(undefined)
    }
    await cache.set('a', 1, { ttl: '1s' })
    await clock.advance(1_000)
    expect(cache.peek('a')).toBe(undefined)
  })

  test('takes what was read since a position, unless something touched it meanwhile', async () => {
    const { cache, source } = await bed()
    const asOf = (await cache.position())!
    source.put('public.posts', { id: 1 })
    await cache.invalidate({ keys: ['b'], tags: ['other'] })
    expect(await cache.set('a', 1, { asOf, tags: ['t'] })).toMatchObject({ notKept: undefined })
    for (const named of [{ keys: ['a'] }, { tags: ['t'] }, { all: 'tenant' as const }]) {
      const before = (await cache.position())!
      await cache.invalidate(named)
      expect(await cache.set('a', 2, { asOf: before, tags: ['t'] })).toMatchObject({ notKept: 'overtaken' })
      expect(cache.peek('a')).toBe(undefined)
      expect(cache.explain('a').notKept).toBe('overtaken')
    }
    // The first one's own change touches the second.
    const since = (await cache.position())!
    await cache.set('a', 3)
    expect(await cache.set('a', 4, { asOf: since })).toMatchObject({ notKept: 'overtaken' })
  })

  test('does not take what was read while a change was hidden, though it has been shown since', async () => {
    const hidden = async () => {
      const { cache, source } = await bed({ proofWait: 0 })
      source.log.isAutomatic = false
      const asked = cache.invalidate({ keys: ['a'] })
      await rest()
      source.log.deliver()
      await asked
      const asOf = (await cache.position())!
      for (const commit of source.log.commits) commit.isVisible = true
      source.log.isAutomatic = true
      await cache.settled()
      return { cache, outcome: await cache.set('a', 'old', { asOf }) }
    }
    expect((await hidden()).outcome.notKept).toBe('unproven')
    const { isHidden } = sinceRules
    try {
      sinceRules.isHidden = () => false
      expect((await hidden()).outcome.notKept).toBe(undefined)
    } finally {
      sinceRules.isHidden = isHidden
    }
  })

  test('takes a position once all that was applied can be seen, or says at the bound what cannot', async () => {
    const { cache, source, clock } = await bed()
    source.log.isAutomatic = false
    source.log.write([{ kind: 'target', targets: [{ kind: 'key', tenant: 'default', key: 'a' }], mode: 'drop' }])
    source.log.deliver()
    const probed = async () => {
      await rest()
      for (const probe of source.log.probes.splice(0)) probe.answer()
      await rest()
    }
    const waiting = cache.position()
    await probed()
    source.log.commits[0]!.isVisible = true
    await clock.advance(100)
    await probed()
    expect(await waiting).toBe(`${cache.status().tidemark}~101`)
    source.log.write([{ kind: 'target', targets: [{ kind: 'key', tenant: 'default', key: 'a' }], mode: 'drop' }])
    source.log.deliver()
    const late = cache.position()
    await clock.advance(1_000)
    expect(await late).toBe(`${cache.status().tidemark}~101`)
  })

  test('does not take a position that cannot be compared', async () => {
    const { cache, source, clock } = await bed()
    const early = (await cache.position())!
    source.log.start(true)
    await cache.settled()
    const positions = [
      early,
      `${cache.status().tidemark!.split(':')[0]}:FFFF/0~99999`,
      '0/1~999999',
      cache.status().tidemark!,
    ]
    source.put('public.posts', { id: 1 })
    await clock.advance(60_000)
    source.put('public.posts', { id: 2 })
    await cache.settled()
    for (const asOf of positions) expect((await cache.set('a', 1, { asOf })).notKept, asOf).toBe('forgotten')
    expect(await code(cache.set('a', 1, { asOf: 'nonsense' }))).toBe('TIDEMARK_POSITION')
  })

  test('changes nothing where the log cannot be written, and keeps nothing where it is not followed', async () => {
    const { cache, source } = await bed()
    await cache.set('a', 1)
    source.log.isUp = false
    expect(await code(cache.set('a', 2))).toBe('TIDEMARK_SOURCE_DOWN')
    expect(cache.peek('a')).toBe(1)
    source.log.isUp = true
    source.log.lose()
    expect(await cache.position()).toBe(undefined)
    const asked = cache.set('a', 3)
    await rest()
    source.log.start()
    expect(await asked).toMatchObject({ notKept: 'starting' })
    expect(cache.peek('a')).toBe(undefined)
  })

  test('refuses what no cache can keep, before anybody is told', async () => {
    const { cache, source } = await bed()
    const before = source.log.commits.length
    expect(await code(cache.set('a', () => 1))).toBe('TIDEMARK_VALUE')
    expect(await code(cache.set('a', 1, { ttl: -1 }))).toBe('TIDEMARK_OPTION')
    expect(await code(cache.set('a', 1, { surplus: 1 } as never))).toBe('TIDEMARK_OPTION')
    expect(await code(cache.set('a', 1, { dependsOn: [1] as never }))).toBe('TIDEMARK_OPTION')
    expect(await code(cache.set(1 as never, 1))).toBe('TIDEMARK_KEY')
    expect(source.log.commits.length).toBe(before)
  })

  test('leaves the value as it is where readers get copies', async () => {
    const { cache } = await bed()
    const value = { list: [1] }
    await cache.set('a', value, { values: 'cloned' })
    value.list.push(2)
    expect(cache.peek('a')).toEqual({ list: [1] })
    await cache.set('b', value)
    expect(Object.isFrozen(value.list)).toBe(true)
  })

  test('works without a source', async () => {
    const cache = createCache()
    const asOf = (await cache.position())!
    await cache.invalidate({ keys: ['b'] })
    expect(await cache.set('a', 1, { asOf })).toMatchObject({ notKept: undefined })
    expect((await cache.find('a'))?.value).toBe(1)
    await cache.invalidate({ pattern: 'a*' })
    expect(await cache.set('a', 1, { asOf })).toMatchObject({ notKept: expect.any(String) })
  })

  test('is found by another process through L2, until somebody changes it', async () => {
    const l2 = new MemoryL2()
    const source = new FakeSource()
    const [one, other] = [createCache({ source, l2 }), createCache({ source, l2 })]
    await Promise.all([one.settled(), other.settled()])
    await expect.poll(() => l2.tide, { timeout: 20_000 }).toBeDefined()
    await one.set('a', { n: 1n, at: new Date(7) })
    await expect.poll(() => l2.size, { timeout: 20_000 }).toBe(1)
    expect(await other.find('a')).toMatchObject({ from: 'l2', value: { n: 1n, at: new Date(7) } })
    expect(await other.find('a')).toMatchObject({ from: 'l1' })
    expect(await other.tenant('acme').find('a')).toBe(undefined)
    await one.set('a', 2)
    expect((await other.find('a'))?.value).not.toEqual({ n: 1n, at: new Date(7) })
    await one.invalidate({ keys: ['a'] })
    expect([await one.find('a'), await other.find('a')]).toEqual([undefined, undefined])
    await Promise.all([one.close(), other.close()])
  })

  test('whatever happens between reading and setting, a kept value shows all that touched it', async () => {
    const often = ['read', 'set', 'change', 'deliver', 'show'] as const
    const step = fc.constantFrom(...often, ...often, 'change other', 'probe', 'probe', 'wait', 'wait', 'lose')
    let kept = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
        const { cache, source, clock } = await bed({ proofWait: 0 })
        const { log } = source
        log.isAutomatic = false
        // Somebody's database: a change is committed, delivered, and visible to readers later.
        let truth = 0
        const versions = new Map<number, number>()
        const seen = () =>
          Math.max(0, ...log.commits.filter((each) => each.isVisible).map(({ lsn }) => versions.get(lsn) ?? 0))
        let read: { value: number; asOf: string | undefined } | undefined
        const asked: Promise<unknown>[] = []
        const probed = async () => {
          for (const probe of log.probes.splice(0)) probe.answer()
          await rest()
        }
        for (const each of steps) {
          if (each === 'read') read = { asOf: await cache.position(), value: seen() }
          else if (each === 'set' && read?.asOf !== undefined) {
            asked.push(cache.set('a', read.value, { asOf: read.asOf }).catch(() => undefined))
            await rest()
            // Its own change is proven like any other, and what was before it is delivered first.
            log.commits.at(-1)!.isVisible = true
            log.deliver(log.waiting)
          } else if (each === 'change' || each === 'change other') {
            const key = each === 'change' ? 'a' : 'b'
            const target = { kind: 'key', tenant: 'default', key } as const
            const commit = log.write([{ kind: 'target', targets: [target], mode: 'drop' }])
            if (key === 'a') versions.set(commit.lsn, ++truth)
          } else if (each === 'deliver') log.deliver(log.waiting)
          else if (each === 'show') {
            const first = log.commits.find(({ isVisible }) => !isVisible)
            if (first) first.isVisible = true
          } else if (each === 'probe') await probed()
          else if (each === 'lose') {
            log.lose()
            log.start()
          } else
            for (let turns = 0; turns < 4; turns++) {
              await clock.advance(2_000)
              await probed()
            }
          await rest()
          const applied = Math.max(
            0,
            ...log.commits.slice(0, log.commits.length - log.waiting).map(({ lsn }) => versions.get(lsn) ?? 0),
          )
          const value = cache.peek<number>('a')
          if (value !== undefined) expect(value).toBeGreaterThanOrEqual(applied)
        }
        await cache.close()
        await Promise.all(asked)
        kept += cache.counters.kept
      }),
      { numRuns: RUNS },
    )
    expect(kept).toBeGreaterThan(RUNS / 10)
  })
})
