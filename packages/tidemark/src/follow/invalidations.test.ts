import { describe, expect, test } from 'vitest'
import type { Invalidation } from '../cache.js'
import { createCache } from '../create.js'
import type { Log, LogListener } from '../log/log.js'
import type { Source } from '../source.js'
import { FakeLog, FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// A request to invalidate might resolve before it is applied, never resolve, reach too much or too little, or be kept from a fill.

async function bed() {
  const source = new FakeSource()
  const cache = createCache({ source, clock: new ManualClock() })
  await cache.settled()
  return { source, log: source.log, cache }
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error)
}

describe('invalidate', () => {
  test('resolves with its position once this process has applied it, and not before', async () => {
    const { cache, log } = await bed()
    await cache.get('k', () => 1, { tags: ['t'] })
    log.isAutomatic = false
    let position: string | undefined
    const asked = cache.invalidate({ tags: ['t'] }).then((at) => (position = at))
    await rest()
    expect(position).toBe(undefined)
    expect(cache.peek('k')).toBe(1)
    log.deliver()
    expect(cache.peek('k')).toBe(undefined)
    await asked
    expect(position).toBe(cache.status().tidemark)
  })

  test('without a source it is applied by the memory log', async () => {
    const cache = createCache()
    await cache.get('a', () => 1, { tags: ['t'] })
    await cache.get('b', () => 1)
    expect(await cache.invalidate({ tags: ['t'] })).toBe('memory:0/1')
    expect([cache.peek('a'), cache.peek('b')]).toEqual([undefined, 1])
    expect(await cache.invalidate({ keys: ['b'] })).toBe('memory:0/2')
    expect(cache.peek('b')).toBe(undefined)
    await cache.close()
  })

  test('reaches exactly what it names: keys, keys of definitions, tags, and what was computed from them', async () => {
    const { cache } = await bed()
    const post = cache.define('post', (_, id: number | string) => id, { static: true })
    const page = cache.define('page', async (_, id: number) => post(id))
    await Promise.all([post(1), post('1'), post(2), page(1), cache.get('post', () => 0, { static: true })])
    await cache.invalidate({ keys: ['post(1)'] })
    expect([post.peek(1), post.peek('1'), post.peek(2), page.peek(1), cache.peek('post')]).toEqual([
      undefined,
      '1',
      2,
      undefined,
      0,
    ])
  })

  test('only the canonical text names a key, so that a fill in flight hears of it as surely as an entry', async () => {
    const { cache } = await bed()
    const post = cache.define('post', (_, id: number) => id, { static: true })
    await post(42)
    await cache.invalidate({ keys: ['post(042)', 'post(42.0)', 'post( 42)', 'post(0x2a)', 'post(42n)', 'post("42")'] })
    expect(post.peek(42)).toBe(42)
    await cache.invalidate({ keys: [post.key(42)] })
    expect(post.peek(42)).toBe(undefined)
  })

  test('one that may name nothing is in the log, and touches nothing', async () => {
    const { cache } = await bed()
    const applied: unknown[] = []
    cache.on('applied', ({ touched, changes }) => applied.push({ touched, changes }))
    await cache.get('a', () => 1, { static: true })
    await expect(cache.invalidate({ keys: [] })).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
    await cache.invalidate({ keys: [], allowNothing: true })
    expect(cache.peek('a')).toBe(1)
    expect(applied).toEqual([{ touched: 0, changes: { nothing: 1 } }])
  })

  test('each of many at once has a position of its own', async () => {
    const { cache } = await bed()
    const positions = await Promise.all(Array.from({ length: 200 }, (_, i) => cache.invalidate({ tags: [`t${i}`] })))
    expect(new Set(positions).size).toBe(200)
  })

  test('a change of everything reaches what came out of tables, and nothing else', async () => {
    const { cache, log } = await bed()
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    await Promise.all([post(1), cache.get('tagged', () => 1, { tags: ['t'] })])
    log.write([{ kind: 'everything', reason: 'the catalogue changed' }])
    expect([post.peek(1), cache.peek('tagged')]).toEqual([undefined, 1])
  })

  test('drops by default; expire leaves the value to grace', async () => {
    const { cache } = await bed()
    const [dropped, expired] = ['dropped', 'expired'].map((name) =>
      cache.define(name, () => new Promise<string>((resolve) => setImmediate(resolve, name)), {
        tags: [name],
        grace: '1h',
      }),
    ) as [ReturnType<typeof cache.define<[], string>>, ReturnType<typeof cache.define<[], string>>]
    await Promise.all([dropped(), expired()])
    await cache.invalidate({ tags: ['dropped'] })
    await cache.invalidate({ tags: ['expired'], mode: 'expire' })
    expect(await dropped.ask()).toMatchObject({ state: 'fresh', from: 'source' })
    expect(await expired.ask()).toMatchObject({ state: 'stale', from: 'l1' })
  })

  test('a fill that it overtook is not kept, by key, by tag, in both modes', async () => {
    const named: Invalidation[] = [
      { keys: ['slow()'] },
      { tags: ['t'] },
      { keys: ['slow()'], mode: 'expire' },
      { tags: ['t'], mode: 'expire' },
    ]
    for (const invalidation of named) {
      const { cache } = await bed()
      const gate = new Gate()
      let version = 1
      const slow = cache.define(
        'slow',
        async () => {
          const read = version
          await gate.passed
          return read
        },
        { tags: ['t'] },
      )
      const before = slow()
      await rest()
      version = 2
      await cache.invalidate(invalidation)
      gate.open()
      expect(await before).toBe(1)
      expect(slow.peek()).toBe(undefined)
      expect(await slow()).toBe(2)
    }
  })

  test('counts and names each entry once, however many of its tags are named', async () => {
    const { cache } = await bed()
    const applied: unknown[] = []
    cache.on('applied', ({ touched, left, entries, mode, changes }) =>
      applied.push({ touched, left, entries, mode, changes }),
    )
    for (const mode of ['drop', 'expire'] as const) {
      await cache.get('k', () => 1, { tags: ['a', 'b'], grace: '1h' })
      await cache.get('beside', () => 1, { tags: ['c'] })
      const { invalidated } = cache.counters
      await cache.invalidate({ tags: ['a', 'b'], keys: ['k'], mode })
      expect(cache.counters.invalidated - invalidated).toBe(1)
    }
    const entries = [{ tenant: 'default', key: 'k' }]
    const changes = { 'tag a': 1, 'tag b': 1, 'key k': 1 }
    expect(applied).toEqual([
      { touched: 1, left: 1, entries, mode: 'drop', changes },
      { touched: 1, left: 1, entries, mode: 'expire', changes },
    ])
  })

  test('a log that is lost between the append and its delivery: it resolves when the log is taken up, with L1 empty', async () => {
    const { cache, log } = await bed()
    await cache.get('k', () => 1, { tags: ['t'] })
    log.isAutomatic = false
    const asked = cache.invalidate({ tags: ['t'] })
    await rest()
    log.lose()
    await rest()
    log.isAutomatic = true
    log.start()
    await rest()
    expect(cache.peek('k')).toBe(undefined)
    expect(await asked).toBe(cache.status().tidemark)
  })

  test('resolves at no position before its own, though the log was taken up before that', async () => {
    /** Appends become durable after a start that was taken at an earlier place, and are delivered after it. */
    class LateLog extends FakeLog {
      listener!: LogListener
      override follow(listener: LogListener): void {
        this.listener = listener
        super.follow(listener)
      }
      startBefore(lsn: number): void {
        this.listener.started({ epoch: 'fake-1', lsn, proof: { kind: 'visible' } })
      }
    }
    const log = new LateLog()
    const source: Source = { id: 'late', openLog: (): Log => log, context: () => ({}), close: async () => undefined }
    const cache = createCache({ source, clock: new ManualClock() })
    await cache.settled()
    const before = log.end
    log.isAutomatic = false
    let position: string | undefined
    void cache.invalidate({ tags: ['t'] }).then((at) => (position = at))
    await rest()
    log.startBefore(before)
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
    expect(position).toBe(undefined)
    for (const probe of log.probes.splice(0)) probe.answer()
    log.deliver()
    await rest()
    expect(position).toBe(`fake-1:0/${log.end.toString(16).toUpperCase()}`)
    await cache.close()
  })

  test('a source that is down rejects it: nothing was appended', async () => {
    const { cache, log } = await bed()
    log.isUp = false
    expect(await outcome(cache.invalidate({ tags: ['t'] }))).toMatchObject({ code: 'TIDEMARK_SOURCE_DOWN' })
    expect(log.commits).toHaveLength(0)
  })

  test('a signal ends the wait; what was appended is applied all the same', async () => {
    const { cache, log } = await bed()
    await cache.get('k', () => 1, { tags: ['t'] })
    log.isAutomatic = false
    const gone = new AbortController()
    const asked = outcome(cache.invalidate({ tags: ['t'], signal: gone.signal }))
    await rest()
    gone.abort(new Error('gone'))
    expect(await asked).toMatchObject({ message: 'gone' })
    log.deliver()
    expect(cache.peek('k')).toBe(undefined)
    expect(
      await outcome(cache.invalidate({ tags: ['t'], signal: AbortSignal.abort(new Error('early')) })),
    ).toMatchObject({
      message: 'early',
    })
  })

  test('on a closed cache is TIDEMARK_CLOSED, while it waits and afterwards, though others follow the log', async () => {
    const { cache, log, source } = await bed()
    const beside = createCache({ source })
    log.isAutomatic = false
    const asked = outcome(cache.invalidate({ tags: ['t'] }))
    await rest()
    await cache.close()
    expect(await asked).toMatchObject({ code: 'TIDEMARK_CLOSED' })
    expect(await outcome(cache.invalidate({ tags: ['t'] }))).toMatchObject({ code: 'TIDEMARK_CLOSED' })
    await beside.close()
  })

  test('refuses what it does not know', async () => {
    const { cache, log } = await bed()
    const wrong: unknown[] = [
      {},
      { keys: [] },
      { tags: [] },
      { keys: 'k' },
      { keys: [1] },
      { tags: 't' },
      { tags: [''] },
      { tags: [7] },
      { tags: ['t'], mode: 'soft' },
      { tags: ['t'], modes: 'expire' },
      { key: 'k', tags: ['t'] },
      { tags: ['x'.repeat(1_025)] },
      undefined,
      null,
    ]
    for (const invalidation of wrong)
      expect(
        await outcome((async () => cache.invalidate(invalidation as Invalidation))()),
        JSON.stringify(invalidation),
      ).toMatchObject({
        code: 'TIDEMARK_OPTION',
      })
    expect(log.commits).toHaveLength(0)
  })
})

describe('an invalidation that a restart of the source took back', () => {
  test('resolves only when it is applied, though entries from before the restart were kept', async () => {
    const { cache, log } = await bed()
    await cache.get('k', () => 1, { tags: ['t'], static: true })
    log.isAutomatic = false
    let isDone = false
    const asked = cache.invalidate({ tags: ['t'] }).then(() => (isDone = true))
    await rest()
    log.lose()
    log.commits.pop()
    // All that was filled up to now is believed.
    log.start(true, Number.POSITIVE_INFINITY)
    for (let i = 0; i < 5; i++) {
      for (const probe of log.probes.splice(0)) probe.answer()
      await rest()
    }
    expect([isDone, cache.peek('k')]).toEqual([false, 1])
    log.deliver()
    await asked
    expect(cache.peek('k')).toBe(undefined)
    await cache.close()
  })

  test('is asked of the source once more for each restart, and fails as it would have at first', async () => {
    const { cache, log } = await bed()
    log.isAutomatic = false
    const asked = outcome(cache.invalidate({ tags: ['t'] }))
    await rest()
    log.lose()
    log.commits.pop()
    log.start(true, Number.POSITIVE_INFINITY)
    log.start(true, Number.POSITIVE_INFINITY)
    const append = log.append.bind(log)
    let appends = 0
    log.append = (change) => {
      appends++
      log.isUp = false
      return append(change)
    }
    for (let i = 0; i < 5; i++) {
      for (const probe of log.probes.splice(0)) probe.answer()
      await rest()
    }
    expect(await asked).toMatchObject({ code: 'TIDEMARK_SOURCE_DOWN' })
    expect(appends).toBe(1)
    await cache.close()
  })
})
