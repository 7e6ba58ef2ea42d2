import { describe, expect, test, vi } from 'vitest'
import { createCache } from '../../create.js'
import type { Change } from '../../log/change.js'
import { FakeSource } from '../fake-source.js'
import { ManualClock } from '../manual-clock.js'
import { Gate, rest } from '../rest.js'

// What the simulation found, each as a test of its own.

function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock })
  source.put('public.posts', { id: 1, title: 'a' })
  return { clock, source, log: source.log, cache }
}

const post = { kind: 'row', op: 'update', table: 'public.posts', old: { id: '1' }, new: { id: '1' } } satisfies Change

describe('nested entries', () => {
  test('an outer entry expires with what it was computed from, however long its loader went on after reading it', async () => {
    const { cache, clock } = bed()
    await cache.settled()
    const gate = new Gate()
    const inner = cache.define('inner', () => 'i', { ttl: '1s' })
    const outer = cache.define('outer', async () => {
      const value = await inner()
      await gate.passed
      return value
    })
    const read = outer()
    await clock.advance(900)
    gate.open()
    await read
    expect(outer.peek()).toBe('i')
    await clock.advance(100)
    expect(outer.peek()).toBe(undefined)
  })
})

describe('positions', () => {
  test('a loader that is asked for a position which this process has not reached takes nothing older from L1', async () => {
    const { cache, clock, source, log } = bed()
    await cache.settled()
    const row = cache.define('row', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
    const page = cache.define('page', async (_, id: number) => `<${await row(id)}>`)
    const peeks = cache.define('peeks', (_, id: number) => row.peek(id) ?? 'nothing')
    expect(await row(1)).toBe('a')
    // Written and visible, but not delivered.
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'b' })
    log.show(log.commits.at(-1)!)
    const minPosition = `0/${log.end.toString(16)}`
    const read = page.with({ minPosition, waitMax: 10 }).ask(1)
    const peek = peeks.with({ minPosition, waitMax: 10 }).ask(1)
    await clock.advance(10)
    await rest()
    expect(await read).toMatchObject({ value: '<b>', state: 'fenced', asOf: undefined })
    expect(await peek).toMatchObject({ value: 'nothing', state: 'fenced' })
  })

  test('a read of what lags says that it is behind, rather than answer with what is older than its position', async () => {
    const { cache, source, log } = bed()
    await cache.settled()
    const lagging = cache.define('lagging', async ({ db }) => (await db.one('public.posts', { id: 1 }))?.title, {
      sourceLag: '1s',
    })
    source.put('public.posts', { id: 1, title: 'b' })
    const minPosition = `0/${log.end.toString(16)}`
    await expect(lagging.with({ minPosition })()).rejects.toMatchObject({ code: 'TIDEMARK_BEHIND' })
    expect(await lagging.ask()).toMatchObject({ value: 'b', state: 'fenced' })
  })
})

describe('a log that is taken up anew', () => {
  test('proves nothing of what a read waits for: a position that cannot be seen yet stays so', async () => {
    const { cache, clock, source, log } = bed()
    await cache.settled()
    const row = cache.define('row', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'b' })
    log.deliver()
    await rest()
    const read = row.with({ minPosition: cache.status().tidemark! })(1)
    const isAnswered = vi.fn()
    read.then(isAnswered, isAnswered)
    await rest()
    log.start()
    await rest()
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
    // The commit is applied, and hidden: nobody can see that position.
    expect(isAnswered).not.toHaveBeenCalled()
    await clock.advance(1_000)
    await expect(read).rejects.toMatchObject({ code: 'TIDEMARK_BEHIND' })
  })

  test('reaches no position beyond its start', async () => {
    const clock = new ManualClock()
    const source = new FakeSource()
    source.log.isAutomatic = false
    const cache = createCache({ source, clock })
    const one = cache.define('one', () => 1, { static: true })
    const minPosition = `0/${(source.log.end + 1_000).toString(16)}`
    const read = one.with({ minPosition, waitMax: 50 })()
    read.catch(() => undefined)
    await rest()
    source.log.isAutomatic = true
    source.log.start()
    for (const probe of source.log.probes.splice(0)) probe.answer()
    await clock.advance(2_000)
    await expect(read).rejects.toMatchObject({ code: 'TIDEMARK_BEHIND' })
    await cache.close()
  })
})

describe('what lags', () => {
  test('is compared with changes from before its fill began, however long it takes, and loads once when they are forgotten', async () => {
    const { cache, clock, source } = bed()
    const gate = new Gate()
    const lagging = cache.define(
      'lagging',
      async ({ db }) => {
        const row = await db.one('public.posts', { id: 1 })
        await gate.passed
        return row?.title
      },
      { sourceLag: '1s' },
    )
    await cache.settled()
    const first = lagging.ask()
    await rest()
    gate.open()
    // The process has not followed for as long as the source may lag.
    expect(await first).toMatchObject({ state: 'fenced' })
    expect(cache.counters.loads).toBe(1)
    await clock.advance(2_000)
    source.put('public.posts', { id: 2, title: 'beside' })
    await clock.advance(100)
    const slow = lagging.ask()
    await clock.advance(5_000)
    expect(await slow).toMatchObject({ state: 'fresh' })
  })
})

describe('the follower', () => {
  test('settled() ends with the cache, even if its question to the source is answered only later', async () => {
    const { cache, log } = bed()
    await cache.settled()
    log.isAutomatic = false
    log.write([post])
    const settled = cache.settled()
    await rest()
    await cache.close()
    for (const probe of log.probes.splice(0)) probe.answer()
    await settled
  })

  test('settled() ends though the source was restored before the log was first taken up', async () => {
    const source = new FakeSource()
    const { log } = source
    log.isAutomatic = false
    const cache = createCache({ source, clock: new ManualClock() })
    // What was flushed when the source was asked is not in the history that is followed then.
    log.probe = async () => ({ snapshot: log.snapshot(), flushed: log.end + 1_000 })
    const settled = cache.settled()
    await rest()
    Reflect.deleteProperty(log, 'probe')
    log.isAutomatic = true
    log.start(true)
    await settled
    await cache.close()
  })

  test('after a record is lost, what comes next is proven as ever', async () => {
    const { cache, clock, log } = bed()
    await cache.settled()
    const row = cache.define('row', ({ db }, id: number) => db.one('public.posts', { id }))
    // The next record names one that never came; the change after it comes before the start is known to be visible.
    const visible = new Gate()
    log.visible = () => visible.passed.then(() => true)
    log.isAutomatic = false
    const deliver = (prev: number): void => {
      const commit = log.write([post])
      log.deliver(0)
      log.repeat({ ...commit, prev })
    }
    deliver(1)
    deliver(log.end)
    visible.open()
    await rest()
    for (const commit of log.commits) log.show(commit)
    for (let i = 0; i < 5; i++) {
      for (const probe of log.probes.splice(0)) probe.answer()
      await clock.advance(100)
    }
    expect(cache.status()).toMatchObject({ keeping: true, unproven: 0 })
    const read = row.ask(1)
    await rest()
    expect(await read).toMatchObject({ state: 'fresh' })
  })
})

describe('watches', () => {
  test('a new watcher of a watched entry gets nothing from before the change that is being computed', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const row = cache.define('row', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
    const first = row.watch(1)
    expect((await first.next()).value).toBe('a')
    const gate = new Gate()
    source.gate = gate.passed
    source.put('public.posts', { id: 1, title: 'b' })
    await rest()
    const second = row.watch(1)
    const next = second.next()
    await rest()
    gate.open()
    expect((await next).value).toBe('b')
    await cache.close()
  })

  test('a watcher that comes after a change gets nothing that was asked for before it, though nothing was kept yet', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const row = cache.define('row', async ({ db }, id: number) => {
      const title = (await db.one('public.posts', { id }))?.title
      await gate.passed
      return title
    })
    const gate = new Gate()
    const first = row.watch(1).next()
    await rest()
    source.put('public.posts', { id: 1, title: 'b' })
    const second = row.watch(1).next()
    await rest()
    gate.open()
    expect((await first).value).toBe('a')
    expect((await second).value).toBe('b')
    await cache.close()
  })

  test('a watch of what L1 holds says it as soon as the process is current again', async () => {
    const { cache, clock, log } = bed()
    await cache.settled()
    const row = cache.define('row', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
    await row(1)
    log.isUp = false
    clock.freeze(6_000)
    const got: unknown[] = []
    void (async () => {
      for await (const value of row.watch(1)) got.push(value)
    })()
    await rest()
    expect(got).toEqual([])
    log.isUp = true
    await clock.advance(2_000)
    expect(got).toEqual(['a'])
    await cache.close()
  })
})

describe('a watch', () => {
  test('outlasts a load on a connection that leads to a history which the log does not follow yet', async () => {
    const { cache, clock, source, log } = bed()
    await cache.settled()
    const context = source.context.bind(source)
    let isElsewhere = false
    source.context = (reading) => {
      if (isElsewhere) reading.unkept('elsewhere')
      return context(reading)
    }
    const row = cache.define('row', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
    const values: unknown[] = []
    const watching = (async () => {
      for await (const value of row.watch(1)) values.push(value)
    })()
    await rest()
    expect(values).toEqual(['a'])
    // The server was restarted, and loaders are connected again before the log is.
    isElsewhere = true
    source.put('public.posts', { id: 1, title: 'b' })
    log.show(log.commits.at(-1)!)
    await clock.advance(1_000)
    isElsewhere = false
    await clock.advance(10_000)
    expect(values).toEqual(['a', 'b'])
    await cache.close()
    await watching
  })
})
