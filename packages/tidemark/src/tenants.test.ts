import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCache } from './create.js'
import type { Session } from './source.js'
import { FakeSource, ManualClock } from './testing/index.js'

// A key, tag, invalidation, explanation or session of one tenant might be seen by, or reach, another.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 200)

async function bed() {
  const source = new FakeSource()
  const cache = createCache({ source, clock: new ManualClock() })
  await cache.settled()
  return { source, cache }
}

describe('tenants', () => {
  test('nobody finds what another tenant stored, by any way of asking', async () => {
    const { cache } = await bed()
    const post = cache.define('post', ({ tenant, tag }, id: number) => {
      tag('posts')
      return `${tenant}:${id}`
    })
    const [acme, other] = [cache.tenant('acme'), cache.tenant('other')]
    await acme.in(post)(1)
    await acme.get('plain', () => 'secret', { tags: ['posts'] })

    for (const view of [other, cache, cache.tenant('acm'), cache.tenant('acme ')]) {
      expect(view.in(post).peek(1)).toBe(undefined)
      expect(view.peek('plain')).toBe(undefined)
      expect(view.explain('post(1)')).toMatchObject({ stored: false, dependencies: [] })
      expect(view.explain('plain')).toMatchObject({ stored: false })
    }
    expect(await other.in(post)(1)).toBe('other:1')
    expect(acme.in(post).peek(1)).toBe('acme:1')
    expect(acme.explain('post(1)')).toMatchObject({ stored: true, tenant: 'acme' })
  })

  test('an invalidation reaches its own tenant only, whatever it names and however', async () => {
    const name = fc.constantFrom('a', 'b', 'a:b', 'A', ' ', '__proto__', 'constructor', 'ü')
    const target = fc.constantFrom('tag', 'key', 'definition', 'nested', 'glob', 'regex', 'all')
    await fc.assert(
      fc.asyncProperty(
        name,
        name,
        target,
        fc.constantFrom('drop', 'expire'),
        name,
        async (mine, theirs, kind, mode, word) => {
          fc.pre(mine !== theirs)
          const { cache } = await bed()
          const inner = cache.define('inner', () => 1, { tags: [word] })
          const outer = cache.define('outer', (_, _id: string) => inner())
          for (const view of [cache.tenant(mine), cache.tenant(theirs)]) {
            await view.in(outer)(word)
            await view.get(word, () => 1, { tags: [word] })
          }
          const asked = cache.tenant(mine)
          if (kind === 'tag') await asked.invalidate({ tags: [word], mode })
          if (kind === 'key') await asked.invalidate({ keys: [word], mode })
          if (kind === 'definition') await asked.invalidate({ keys: [outer.key(word)], mode })
          if (kind === 'nested') await asked.invalidate({ keys: [inner.key()], mode })
          if (kind === 'glob') await asked.invalidate({ pattern: `inn${mode === 'drop' ? '*' : '?'}r()`, mode })
          if (kind === 'regex') await asked.invalidate({ pattern: { regex: 'er\\(' }, mode })
          if (kind === 'all') await asked.invalidate({ all: 'tenant', mode })

          const left = cache.tenant(theirs)
          expect([left.in(outer).peek(word), left.in(inner).peek(), left.peek(word)]).toEqual([1, 1, 1])
          const isGone = {
            outer: kind !== 'key',
            inner: kind !== 'key' && kind !== 'definition',
            plain: kind === 'tag' || kind === 'key' || kind === 'all',
          }
          expect(asked.in(outer).peek(word)).toBe(isGone.outer ? undefined : 1)
          expect(asked.in(inner).peek()).toBe(isGone.inner ? undefined : 1)
          expect(asked.peek(word)).toBe(isGone.plain ? undefined : 1)
          await cache.close()
        },
      ),
      { numRuns: RUNS },
    )
  })

  test('a change of a row touches entries of every tenant: rows belong to the source', async () => {
    const { cache, source } = await bed()
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    const views = ['a', 'b'].map((tenant) => cache.tenant(tenant).in(post))
    for (const view of views) await view(1)
    source.put('public.posts', { id: 1 })
    for (const view of views) expect(view.peek(1)).toBe(undefined)
    for (const view of views) await view(1)
    source.log.write([{ kind: 'table', table: 'public.posts', reason: 'truncate' }])
    for (const view of views) expect(view.peek(1)).toBe(undefined)
  })

  test('an event names the tenant of each entry, and an error text no other tenant', async () => {
    const { cache } = await bed()
    const applied: unknown[] = []
    cache.on('applied', (event) => applied.push(event.entries))
    await cache.tenant('acme').get('k', () => 1, { tags: ['t'] })
    await cache.tenant('other').get('k', () => 1, { tags: ['t'] })
    await cache.tenant('acme').invalidate({ tags: ['t'] })
    expect(applied).toEqual([[{ tenant: 'acme', key: 'k' }]])
  })

  test('a tenant has a name', async () => {
    const { cache } = await bed()
    for (const name of ['', 'a\u0000b', 'a\nb', 'x'.repeat(257), undefined, 7])
      expect(() => cache.tenant(name as string), String(name)).toThrow(/tenant/)
    expect(cache.tenant('x'.repeat(256))).toBeDefined()
  })

  test('keys of many tenants are found by a request, whenever each first came', async () => {
    const { cache } = await bed()
    const post = cache.define('post', () => 1, { static: true })
    const missed: number[] = []
    // Any keyspace that comes may be the one at which idle ones are forgotten.
    for (let tenant = 0; tenant < 2_100; tenant++) {
      const view = cache.tenant(`t${tenant}`)
      const bound = view.in(post)
      await bound()
      await view.invalidate({ keys: ['post()'] })
      if (bound.peek() !== undefined) missed.push(tenant)
      await bound()
    }
    expect(missed).toEqual([])
  })

  test('a definition finds what another view of it stored, after its own keyspace was forgotten as idle', async () => {
    const { cache } = await bed()
    const post = cache.define('post', () => 1, { static: true })
    for (let tenant = 0; tenant < 2_100; tenant++) cache.tenant(`t${tenant}`).peek('k')
    await cache.in(post)()
    expect(post.peek()).toBe(1)
  })
})

describe('sessions', () => {
  test('are part of the key, whatever differs in them', async () => {
    const { cache } = await bed()
    const sessions: (Session | undefined)[] = [
      undefined,
      {},
      { role: 'a' },
      { role: 'b' },
      { timeZone: 'a' },
      { role: 'a', timeZone: 'a' },
      { settings: { a: '1' } },
      { settings: { a: '2' } },
      { settings: { b: '1' } },
      { settings: { a: '1', b: '1' } },
      { settings: { 'a,b': '1' } },
    ]
    const post = cache.define('post', () => ({}), { static: true })
    const views = sessions.map((session) => (session ? cache.as(session) : cache))
    const values = await Promise.all(views.map((view) => view.in(post)()))
    expect(new Set(values).size).toBe(sessions.length)
    expect(views.map((view) => view.in(post).peek())).toEqual(values)
    expect(views.every((view, i) => view.in(post).peek() === values[i])).toBe(true)
  })

  test('that say the same are the same, in whatever order', async () => {
    const { cache } = await bed()
    const post = cache.define('post', () => 1, { static: true })
    await cache.as({ role: 'r', timeZone: 'UTC', settings: { a: '1', b: '2' } }).in(post)()
    const same = cache.as({ settings: { b: '2', a: '1' }, timeZone: 'UTC', role: 'r' })
    expect(same.in(post).peek()).toBe(1)
    expect(same.explain('post()')).toMatchObject({ stored: true })
    expect(cache.explain('post()')).toMatchObject({ stored: false })
  })

  test('a key that a request names is dropped in every session', async () => {
    const { cache } = await bed()
    const post = cache.define('post', () => 1, { static: true })
    const views = [cache, cache.as({ role: 'a' }), cache.as({ role: 'b' })]
    for (const view of views) await view.in(post)()
    await cache.as({ role: 'b' }).invalidate({ keys: ['post()'] })
    for (const view of views) expect(view.in(post).peek()).toBe(undefined)
  })

  test('why an answer was not kept in one says nothing of another', async () => {
    const { cache, source } = await bed()
    const context = source.context.bind(source)
    source.context = (reading) => {
      if (!reading.session) reading.unkept('row-security')
      return context(reading)
    }
    const post = cache.define('post', () => 1, { static: true })
    await post()
    expect(cache.explain('post()').notKept).toBe('row-security')
    expect(cache.as({ role: 'a' }).explain('post()').notKept).toBe(undefined)
  })

  test('stay what they were when the view was made', async () => {
    const { cache, source } = await bed()
    const seen: unknown[] = []
    const context = source.context.bind(source)
    source.context = (reading) => {
      seen.push(reading.session?.settings?.['app.user'])
      return context(reading)
    }
    const settings = { 'app.user': '1' }
    const view = cache.as({ settings })
    settings['app.user'] = '2'
    await view.get('k', () => 1)
    expect(seen).toEqual(['1'])
  })

  test('have a role, settings and a time zone, all text', async () => {
    const { cache } = await bed()
    for (const session of [
      { user: 'x' },
      { role: 7 },
      { settings: { a: 1 } },
      { settings: 'a' },
      { timeZone: null },
      null,
      'r',
    ])
      expect(() => cache.as(session as Session), JSON.stringify(session)).toThrow(/session/)
  })
})
