import { describe, expect, test } from 'vitest'
import type { Cache } from '../cache.js'
import { createCache } from '../create.js'
import type { CallOptions, EntryOptions } from '../definition.js'
import type { Mode } from '../log/change.js'
import { type FakeReads, FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// Grace might serve what a change dropped, serve past its bounds, hide a failing source for ever, or not serve at all.
// One test for each cell: what is invalidated × how × whether grace is set × how the value is asked for × whether the source is up.

const TARGETS = ['key', 'tag', 'row', 'table'] as const
const MODES = ['drop', 'expire'] as const
const GRACES = ['none', 'set'] as const
const WAYS = ['await', 'ask', 'peek', 'watch'] as const
const SOURCES = ['up', 'down'] as const

interface Cell {
  readonly target: (typeof TARGETS)[number]
  readonly mode: Mode
  readonly grace: (typeof GRACES)[number]
  readonly way: (typeof WAYS)[number]
  readonly source: (typeof SOURCES)[number]
}

function cells(): Cell[] {
  const all: Cell[] = []
  for (const target of TARGETS)
    for (const mode of MODES)
      for (const grace of GRACES)
        for (const way of WAYS)
          for (const source of SOURCES) {
            // Rows and tables change in the source: what was read of them is wrong, so they only ever drop.
            if (mode === 'drop' || target === 'key' || target === 'tag') all.push({ target, mode, grace, way, source })
          }
  return all
}

class Bed {
  readonly clock = new ManualClock()
  readonly source = new FakeSource()
  readonly cache: Cache<{ db: FakeReads }>
  readonly post
  /** Set: loaders wait here. */
  gate: Gate | undefined

  constructor(options: EntryOptions = {}) {
    this.cache = createCache({ source: this.source, clock: this.clock })
    this.source.put('public.posts', { id: 1, title: 'old' })
    this.post = this.cache.define(
      'post',
      async ({ db }, id: number) => {
        const row = await db.one('public.posts', { id })
        await this.gate?.passed
        return row?.title
      },
      { tags: ['posts'], ...options },
    )
  }

  /** Changes the row without telling the log, so that only the invalidation under test does. */
  changeUnseen(): void {
    const { log } = this.source
    const write = log.write.bind(log)
    log.write = () => log.commits.at(-1)!
    this.source.put('public.posts', { id: 1, title: 'new' })
    log.write = write
  }

  async invalidate(target: Cell['target'], mode: Mode): Promise<void> {
    switch (target) {
      case 'key':
        this.changeUnseen()
        await this.cache.invalidate({ keys: ['post(1)'], mode })
        break
      case 'tag':
        this.changeUnseen()
        await this.cache.invalidate({ tags: ['posts'], mode })
        break
      case 'row':
        this.source.put('public.posts', { id: 1, title: 'new' })
        break
      case 'table':
        this.changeUnseen()
        this.source.log.write([{ kind: 'table', table: 'public.posts', reason: 'truncate' }])
        break
      default:
        target satisfies never
    }
    await rest()
  }
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => `error: ${(error as Error).message}`)
}

const DOWN = 'error: The fake source is down.'

describe('what a read gets right after an invalidation', () => {
  test.each(cells())(
    '$target, mode $mode, grace $grace, asked by $way, source $source',
    async ({ target, mode, grace, way, source }) => {
      const bed = new Bed(grace === 'set' ? { grace: '1h' } : {})
      const { post, cache } = bed
      await post(1)
      expect(post.peek(1)).toBe('old')
      const watched = way === 'watch' ? post.watch(1) : undefined
      if (watched) expect(await watched.next()).toEqual({ value: 'old', done: false })

      bed.source.isDown = source === 'down'
      await bed.invalidate(target, mode)
      const isGraceful = mode === 'expire' && grace === 'set'

      switch (way) {
        case 'peek':
          // A peek loads nothing, and takes nothing that is not fresh.
          expect(post.peek(1)).toBe(undefined)
          break
        case 'await':
          expect(await outcome(post(1))).toBe(isGraceful ? 'old' : source === 'down' ? DOWN : 'new')
          break
        case 'ask': {
          const answer = await outcome(post.ask(1))
          if (isGraceful) expect(answer).toMatchObject({ value: 'old', state: 'stale', from: 'l1' })
          else if (source === 'down') expect(answer).toBe(DOWN)
          else expect(answer).toMatchObject({ value: 'new', state: 'fresh', from: 'source' })
          break
        }
        case 'watch': {
          const next = watched!.next()
          // A watch sends nothing stale: with the source down it waits.
          if (source === 'down') {
            let isSent = false
            void next.then(() => (isSent = true))
            await bed.clock.advance(2_000)
            expect(isSent).toBe(false)
            bed.source.isDown = false
            await bed.clock.advance(10_000)
          }
          expect(await next).toEqual({ value: 'new', done: false })
          await watched!.return!()
          break
        }
        default:
          way satisfies never
      }

      bed.source.isDown = false
      await rest()
      // Behind a stale answer the entry was refilled, if the source was up; else the next read does that.
      const isRefilled = way === 'watch' || (way !== 'peek' && source === 'up')
      if (isRefilled) expect(post.peek(1)).toBe('new')
      expect(await post(1)).toBe(isGraceful && !isRefilled ? 'old' : 'new')
      await rest()
      expect(await post(1)).toBe('new')
      await cache.close()
    },
  )
})

describe('the bounds of grace', () => {
  test('a value that expired is served while it is refilled, up to grace.refill and no longer', async () => {
    const bed = new Bed({ ttl: '1m', grace: { refill: '10s' } })
    await bed.post(1)
    bed.changeUnseen()
    bed.gate = new Gate()

    await bed.clock.advance(60_000)
    expect(await bed.post.ask(1)).toMatchObject({ value: 'old', state: 'stale' })
    await bed.clock.advance(10_000)
    expect(await bed.post.ask(1)).toMatchObject({ value: 'old', state: 'stale' })
    await bed.clock.advance(1)
    const waits = bed.post.ask(1)
    bed.gate.open()
    expect(await waits).toMatchObject({ value: 'new', state: 'fresh' })
    expect(bed.cache.counters.stale).toBe(2)
  })

  test('while the source fails an expired value is served, up to grace.failure and no longer', async () => {
    const bed = new Bed({ ttl: '1m', grace: { failure: '10s' } })
    await bed.post(1)
    bed.source.isDown = true
    await bed.clock.advance(70_000)
    expect(await bed.post.ask(1)).toMatchObject({ value: 'old', state: 'stale', from: 'l1' })
    await bed.clock.advance(1)
    await expect(bed.post(1)).rejects.toThrow('The fake source is down.')
  })

  test('grace.failure alone waits for the source first, so a source that is up answers', async () => {
    const bed = new Bed({ ttl: '1m', grace: { failure: '1h' } })
    await bed.post(1)
    bed.changeUnseen()
    await bed.clock.advance(60_000)
    expect(await bed.post.ask(1)).toMatchObject({ value: 'new', state: 'fresh', from: 'source' })
  })

  test('grace.refill alone does not hide that the source fails once it is over', async () => {
    const bed = new Bed({ ttl: '1m', grace: { refill: '10s' } })
    await bed.post(1)
    bed.source.isDown = true
    await bed.clock.advance(60_000)
    expect(await bed.post(1)).toBe('old')
    await bed.clock.advance(10_001)
    await expect(bed.post(1)).rejects.toThrow('down')
  })

  test('an entry that expired first and was dropped later is not served any more', async () => {
    const bed = new Bed({ ttl: '1m', grace: '1h' })
    await bed.post(1)
    await bed.clock.advance(60_000)
    bed.source.isDown = true
    bed.source.put('public.posts', { id: 1, title: 'new' })
    await expect(bed.post(1)).rejects.toThrow('down')
  })

  test('an entry that a request expired first and a row dropped later is not served any more', async () => {
    const bed = new Bed({ grace: '1h' })
    await bed.post(1)
    await bed.cache.invalidate({ tags: ['posts'], mode: 'expire' })
    bed.source.isDown = true
    expect(await bed.post(1)).toBe('old')
    bed.source.put('public.posts', { id: 1, title: 'new' })
    await expect(bed.post(1)).rejects.toThrow('down')
  })

  test('expiring again does not lengthen grace', async () => {
    const bed = new Bed({ grace: '10s' })
    await bed.post(1)
    await bed.cache.invalidate({ tags: ['posts'], mode: 'expire' })
    bed.source.isDown = true
    await bed.clock.advance(9_000)
    expect(await bed.post(1)).toBe('old')
    await bed.cache.invalidate({ tags: ['posts'], mode: 'expire' })
    await bed.clock.advance(2_000)
    await expect(bed.post(1)).rejects.toThrow('down')
  })

  test('what is dropped while a soft timeout waits for the refill is not served when it ends', async () => {
    const bed = new Bed({ ttl: '1m', grace: '1h', softTimeout: '100ms' })
    await bed.post(1)
    await bed.clock.advance(60_000)
    bed.gate = new Gate()
    const read = bed.post.ask(1)
    await rest()
    bed.source.put('public.posts', { id: 1, title: 'new' })
    await bed.clock.advance(100)
    bed.gate.open()
    expect(await read).toMatchObject({ value: 'new' })
  })

  test('a refill behind a stale answer that a change overtook is not kept', async () => {
    const bed = new Bed({ ttl: '1m', grace: '1h' })
    await bed.post(1)
    await bed.clock.advance(60_000)
    bed.gate = new Gate()
    expect(await bed.post.ask(1)).toMatchObject({ value: 'old', state: 'stale' })
    await rest()
    bed.source.put('public.posts', { id: 1, title: 'new' })
    bed.gate.open()
    await rest()
    expect(bed.post.peek(1)).toBe(undefined)
    expect(await bed.post(1)).toBe('new')
  })

  test('a read that carries a position takes nothing that expired', async () => {
    const bed = new Bed({ ttl: '1m', grace: '1h' })
    const { asOf } = await bed.post.ask(1)
    bed.changeUnseen()
    await bed.clock.advance(60_000)
    const call: CallOptions = { minPosition: asOf! }
    expect(await bed.post.with(call).ask(1)).toMatchObject({ value: 'new', state: 'fresh' })
  })

  test('a process that is not current serves an entry by grace only while the source fails, counted from when it last was', async () => {
    const bed = new Bed({ grace: { failure: '10s', refill: '1h' } })
    await bed.post(1)
    await bed.clock.advance(1_000)
    bed.source.log.isUp = false
    bed.source.isDown = true
    bed.clock.freeze(9_000)
    expect(bed.cache.status().current).toBe(false)
    expect(bed.post.peek(1)).toBe(undefined)
    expect(await bed.post.ask(1)).toMatchObject({ value: 'old', state: 'stale' })
    bed.clock.freeze(3_000)
    await expect(bed.post(1)).rejects.toThrow('down')
    bed.source.isDown = false
    expect(await bed.post.ask(1)).toMatchObject({ value: 'old', state: 'fenced', asOf: undefined })
  })

  test('stale answers carry the position as of which they held', async () => {
    const bed = new Bed({ grace: '1h' })
    const first = await bed.post.ask(1)
    await bed.cache.invalidate({ tags: ['posts'], mode: 'expire' })
    const stale = await bed.post.ask(1)
    expect(stale).toEqual({ ...first, state: 'stale', from: 'l1' })
  })
})
