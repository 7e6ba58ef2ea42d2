import { describe, expect, test, vi } from 'vitest'
import { createCache } from './create.js'
import { Observers } from './events.js'
import { FakeSource, ManualClock, rest } from './testing/index.js'

async function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock })
  source.put('public.posts', { id: 1, title: 'a' })
  await cache.settled()
  const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }), { tags: ['posts'] })
  return { clock, source, cache, post }
}

describe('explain', () => {
  test('says of a kept entry what it depends on, since when, until when', async () => {
    const { cache, clock, post } = await bed()
    const answer = await post.ask(1)
    expect(cache.explain('post(1)')).toEqual({
      key: 'post(1)',
      tenant: 'default',
      stored: true,
      state: 'fresh',
      asOf: answer.asOf,
      filledAt: answer.filledAt,
      expiresAt: undefined,
      dependencies: [
        { kind: 'rows', table: 'public.posts', columns: ['id'], values: ['1'], old: 'coarse' },
        { kind: 'tag', tenant: 'default', tag: 'posts' },
      ],
      notKept: undefined,
      text: 'Kept, with 2 dependencies, until a change touches it.',
    })
    await cache.get('k', () => 1, { ttl: '1h' })
    const { expiresAt, text } = cache.explain('k')
    expect(expiresAt).toBe(clock.wall() + 3_600_000)
    expect(text).toBe('Kept, with 0 dependencies, until 2026-01-01T01:00:00.000Z, or a change touches it.')
  })

  test('says of one that expired, or that the process cannot vouch for, that it is not served as fresh', async () => {
    const { cache, clock } = await bed()
    await cache.get('k', () => 1, { ttl: '1s' })
    await cache.get('l', () => 1, { static: true })
    clock.freeze(1_000)
    expect(cache.explain('k')).toMatchObject({ state: 'expired', text: expect.stringMatching(/^Kept, but expired/) })
    clock.freeze(60_000)
    expect(cache.explain('l')).toMatchObject({ state: 'untrusted', text: expect.stringMatching(/maxSilence/) })
  })

  test('says of nothing that there is nothing, and of what was dropped too', async () => {
    const { cache, post } = await bed()
    await post(1)
    await cache.invalidate({ tags: ['posts'] })
    for (const key of ['post(1)', 'post(2)', 'no such', '', 'post(', 'post)', '()', 'post(1'])
      expect(cache.explain(key), key).toMatchObject({
        key,
        stored: false,
        state: 'absent',
        notKept: undefined,
        dependencies: [],
      })
  })

  test('touches nothing: it is no read, and keeps nothing from eviction', async () => {
    const { cache, post } = await bed()
    await post(1)
    const before = JSON.stringify(cache.counters)
    cache.explain('post(1)')
    expect(JSON.stringify(cache.counters)).toBe(before)
  })
})

describe('events', () => {
  test('tell what was applied: changes, entries touched and left alone, when it was committed', async () => {
    const { cache, source, post } = await bed()
    await Promise.all([post(1), post(2)])
    const heard: unknown[] = []
    cache.on('applied', (event) => heard.push(event))
    source.put('public.posts', { id: 1, title: 'b' })
    expect(heard).toEqual([
      {
        position: cache.status().tidemark,
        committedAt: expect.any(Number),
        changes: { 'public.posts update': 1 },
        touched: 1,
        left: 1,
        entries: [{ tenant: 'default', key: 'post(1)' }],
        mode: 'drop',
        sweeping: 0,
        tenants: [],
        isOfSource: true,
      },
    ])
  })

  test('name at most 100 entries of a change that touched more', async () => {
    const { cache, source, post } = await bed()
    for (let id = 0; id < 150; id++) await post(id)
    const heard: { touched: number; named: number }[] = []
    cache.on('applied', ({ touched, entries }) => heard.push({ touched, named: entries.length }))
    source.log.write([{ kind: 'table', table: 'public.posts', reason: 'truncate' }])
    expect(heard).toEqual([{ touched: 150, named: 100 }])
  })

  test('tell of fills and failures', async () => {
    const { cache, source, post } = await bed()
    const heard: unknown[] = []
    cache.on('filled', ({ key, notKept }) => heard.push(['filled', key, notKept]))
    cache.on('failed', ({ key, error }) => heard.push(['failed', key, (error as Error).message]))
    await post(1)
    await cache.get('k', () => 1)
    source.isDown = true
    await post(2).catch(() => undefined)
    expect(heard).toEqual([
      ['filled', 'post(1)', undefined],
      ['filled', 'k', 'no-dependency'],
      ['failed', 'post(2)', 'The fake source is down.'],
    ])
  })

  test('that nobody listens to are not built', async () => {
    const emit = vi.spyOn(Observers.prototype, 'emit')
    const { cache, source, post } = await bed()
    const off = [cache.on('applied', () => undefined), cache.on('filled', () => undefined)]
    for (const each of off) each()
    await post(1)
    source.put('public.posts', { id: 1, title: 'b' })
    source.isDown = true
    await post(1).catch(() => undefined)
    source.log.lose()
    source.log.start()
    expect(emit).not.toHaveBeenCalled()
    emit.mockRestore()
  })

  test('a listener that throws disturbs neither the cache nor the others, and its error is not swallowed', async () => {
    const { cache, source, post } = await bed()
    const uncaught: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => uncaught.push(error.message))
    const heard = vi.fn()
    cache.on('applied', () => {
      throw new Error('from a listener')
    })
    cache.on('applied', heard)
    await post(1)
    source.put('public.posts', { id: 1, title: 'b' })
    expect(post.peek(1)).toBe(undefined)
    await rest()
    for (const listener of listeners) process.on('uncaughtException', listener)
    expect(heard).toHaveBeenCalledOnce()
    expect(uncaught).toEqual(['from a listener'])
  })

  test('a notice comes once for each definition whose answers are never kept, and says which', async () => {
    const { cache } = await bed()
    const notices: { code: string; message: string }[] = []
    cache.on('notice', (notice) => notices.push(notice))
    const [one, two] = [cache.define('one', () => 1), cache.define('two', () => 2)]
    for (let i = 0; i < 3; i++) await Promise.all([one(), two()])
    expect(notices.map(({ code }) => code)).toEqual(['no-dependency', 'no-dependency'])
    expect(notices[0]!.message).toContain('one')
    expect(notices[1]!.message).toContain('two')
  })
})

describe('counters', () => {
  test('add up: every read is a hit or a miss, every load is kept, not kept or failed', async () => {
    const { cache, source, post, clock } = await bed()
    const { counters } = cache
    await post(1)
    await post(1)
    post.peek(1)
    await Promise.all([post(2), post(2)])
    await cache.get('k', () => 1)
    source.isDown = true
    await post(3).catch(() => undefined)
    source.isDown = false
    await cache.get('g', () => 1, { ttl: '1s', grace: '1h' })
    await clock.advance(1_000)
    await cache.get('g', () => 1, { ttl: '1s', grace: '1h' })
    await rest()
    expect(counters).toMatchObject({
      hits: 2,
      misses: 7,
      joined: 1,
      loads: 6,
      loadErrors: 1,
      kept: 4,
      notKept: { 'no-dependency': 1 },
      stale: 1,
      fenced: 1,
    })
    expect(counters.loads).toBe(counters.kept + counters.loadErrors + 1)
    const before = { ...counters }
    await cache.invalidate({ tags: ['posts'] })
    expect(counters).toMatchObject({
      commits: before.commits + 1,
      changes: before.changes + 1,
      invalidated: before.invalidated + 2,
    })
  })
})
