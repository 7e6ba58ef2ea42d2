import { describe, expect, test } from 'vitest'
import type { CacheOptions } from '../cache.js'
import { createCache } from '../create.js'
import { type FakeReads, FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// A read that carries a position might be answered with something older, wait for ever, or claim a position that it cannot know.

function bed(options: Partial<CacheOptions<{ db: FakeReads }>> = {}) {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock, ...options })
  const post = cache.define('post', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
  return { clock, source, log: source.log, cache, post }
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error)
}

/** Follows what becomes of a promise without waiting for it. */
function seen<Value>(promise: Promise<Value>): { value?: Value; error?: unknown; isDone: boolean } {
  const state: { value?: Value; error?: unknown; isDone: boolean } = { isDone: false }
  promise.then(
    (value) => Object.assign(state, { value, isDone: true }),
    (error: unknown) => Object.assign(state, { error, isDone: true }),
  )
  return state
}

/** Writes a commit that new snapshots see, and that the log has not delivered yet. */
function commitUndelivered({ source, log }: ReturnType<typeof bed>, title: string): string {
  log.isAutomatic = false
  source.put('public.posts', { id: 1, title })
  const commit = log.commits.at(-1)!
  log.show(commit)
  return `fake-1:0/${commit.lsn.toString(16)}`
}

describe('a read that carries a position', () => {
  test('that this process has applied is answered from L1', async () => {
    const { source, cache, post } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const { asOf } = await post.ask(1)
    expect(asOf).toMatch(/^fake-1:0\/[0-9A-F]+$/)
    expect(await post.with({ minPosition: asOf! }).ask(1)).toMatchObject({
      value: 'a',
      from: 'l1',
      state: 'fresh',
      asOf,
    })
    expect(await post.with({ minPosition: asOf!.split(':')[1]! }).ask(1)).toMatchObject({ from: 'l1' })
    expect(await post.with({ minPosition: asOf! })(1)).toBe('a')
  })

  test('that is on its way waits for it, and gets what was committed there', async () => {
    const world = bed()
    const { source, log, cache, post } = world
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    await post(1)
    const position = commitUndelivered(world, 'b')
    expect(post.peek(1)).toBe('a')
    const read = seen(post.with({ minPosition: position }).ask(1))
    await rest()
    expect(read.isDone).toBe(false)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    log.deliver()
    await rest()
    expect(read.value).toMatchObject({ value: 'b', state: 'fresh' })
    expect(read.value!.asOf).toBe(cache.status().tidemark)
  })

  test('that does not come within waitMax is answered by the source, without a position, if the source shows it', async () => {
    const world = bed({ waitMax: '300ms', maxSilence: '1h' })
    const { source, clock, cache, post } = world
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    await post(1)
    const position = commitUndelivered(world, 'b')
    const read = seen(post.with({ minPosition: position }).ask(1))
    await clock.advance(299)
    expect(read.isDone).toBe(false)
    await clock.advance(1)
    expect(read.value).toMatchObject({ value: 'b', state: 'fenced', from: 'source', asOf: undefined })
    // L1 follows the log, not the reader: another read is answered as of the tidemark.
    expect(await post.ask(1)).toMatchObject({ state: 'fresh' })
  })

  test('that does not come joins no load from before the source was seen to show it', async () => {
    const world = bed({ waitMax: '300ms', maxSilence: '1h' })
    const { source, clock, cache, post } = world
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const gates = [new Gate(), new Gate()]
    let runs = 0
    const slow = cache.define('slow', async ({ db }) => {
      const run = runs++
      const row = await db.one('public.posts', { id: 1 })
      await gates[run]?.passed
      return row?.title
    })
    const first = slow.ask()
    await rest()
    const position = commitUndelivered(world, 'b')
    const read = seen(slow.with({ minPosition: position }).ask())
    await clock.advance(300)
    gates[0]!.open()
    expect(await first).toMatchObject({ value: 'a' })
    await rest()
    gates[1]!.open()
    await rest()
    expect(read.value).toMatchObject({ value: 'b', state: 'fenced', asOf: undefined })
    expect(post.peek(1)).toBe(undefined)
  })

  test('that can neither be reached nor seen within waitMax and proofWait is TIDEMARK_BEHIND, and is not answered', async () => {
    const { clock, source, cache, post } = bed({ waitMax: '300ms', proofWait: '200ms', maxSilence: '1h' })
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    await post(1)
    const read = seen(post.with({ minPosition: 'fake-1:FF/0' }).ask(1))
    await clock.advance(499)
    expect(read.isDone).toBe(false)
    await clock.advance(1)
    expect(read.error).toMatchObject({ code: 'TIDEMARK_BEHIND' })
    expect((read.error as Error).message).toContain('fake-1:FF/0')
  })

  test('whose own waitMax is shorter waits no longer than that', async () => {
    const { clock, cache, post } = bed({ waitMax: '10s', proofWait: '100ms', maxSilence: '1h' })
    await cache.settled()
    const read = seen(post.with({ minPosition: '0/FFFF', waitMax: '50ms' }).ask(1))
    await clock.advance(150)
    expect(read.error).toMatchObject({ code: 'TIDEMARK_BEHIND' })
  })

  test('of another epoch is answered by the source at once, without a position', async () => {
    const { source, cache, post } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const { asOf } = await post.ask(1)
    const answer = await post.with({ minPosition: asOf!.replace('fake-1', 'other-7') }).ask(1)
    expect(answer).toMatchObject({ value: 'a', state: 'fenced', from: 'source', asOf: undefined })
  })

  test('of another epoch joins no load from before it asked', async () => {
    const { source, log, cache } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const gates = [new Gate(), new Gate()]
    let runs = 0
    const slow = cache.define('slow', async ({ db }) => {
      const run = runs++
      const row = await db.one('public.posts', { id: 1 })
      await gates[run]?.passed
      return row?.title
    })
    const first = slow.ask()
    await rest()
    // A change that this process has not been told of.
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'b' })
    const read = seen(slow.with({ minPosition: 'next-1:0/1' }).ask())
    await rest()
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
    gates[0]!.open()
    await first
    await rest()
    gates[1]!.open()
    await rest()
    expect(read.value).toMatchObject({ value: 'b', state: 'fenced' })
  })

  test('of another epoch is TIDEMARK_BEHIND while this process cannot tell whether the source has that history by now', async () => {
    const { source, log, clock, cache, post } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    log.lose()
    const read = seen(post.with({ minPosition: 'fake-2:0/3F0', waitMax: '100ms' }).ask(1))
    await clock.advance(99)
    expect(read.isDone).toBe(false)
    await clock.advance(1)
    expect(read.error).toMatchObject({ code: 'TIDEMARK_BEHIND' })
  })

  test('of the epoch that the source has by now, unnoticed here, shows what was hidden there', async () => {
    const { source, log, clock, cache, post } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    log.lose()
    log.isAutomatic = false
    const hidden = log.write([])
    const read = seen(post.with({ minPosition: `fake-2:0/${log.end.toString(16)}` }).ask(1))
    await rest()
    log.start(true)
    for (let i = 0; i < 5; i++) {
      await clock.advance(10)
      for (const probe of log.probes.splice(0)) probe.answer()
    }
    await clock.advance(50)
    expect(read.isDone).toBe(false)
    source.put('public.posts', { id: 1, title: 'b' })
    for (const commit of log.commits) log.show(commit)
    expect(hidden.isVisible).toBe(true)
    await clock.advance(50)
    expect(read.value).toMatchObject({ value: 'b', state: 'fenced' })
  })

  test('that was applied but cannot be seen yet waits for the proof; at its bound it is TIDEMARK_BEHIND', async () => {
    const { source, log, clock, cache, post } = bed({ proofWait: '200ms', maxSilence: '1h' })
    await cache.settled()
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'hidden' })
    log.deliver()
    const { tidemark } = cache.status()
    const read = seen(post.with({ minPosition: tidemark! }).ask(1))
    await clock.advance(200)
    expect(read.error).toMatchObject({ code: 'TIDEMARK_BEHIND' })
    const again = seen(post.with({ minPosition: tidemark! }).ask(1))
    log.show(log.commits.at(-1)!)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(60)
    expect(again.value).toMatchObject({ value: 'hidden', state: 'fresh' })
  })

  test('before a start that is not proven yet is not answered until it is', async () => {
    const { source, log, clock, cache, post } = bed({ proofWait: '200ms', maxSilence: '1h' })
    await cache.settled()
    log.isAutomatic = false
    for (const probe of log.probes.splice(0)) probe.answer()
    // Committed before the new slot, sent by no slot, and not visible yet.
    log.lose()
    source.put('public.posts', { id: 1, title: 'hidden' })
    const hidden = log.commits.at(-1)!
    const position = `fake-1:0/${hidden.lsn.toString(16)}`
    log.start()
    await rest()
    const read = seen(post.with({ minPosition: position }).ask(1))
    // A probe that proves nothing: the commit is still running for new snapshots.
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
    expect(read.isDone).toBe(false)
    await clock.advance(200)
    expect(read.error).toMatchObject({ code: 'TIDEMARK_BEHIND' })

    const again = seen(post.with({ minPosition: position }).ask(1))
    log.show(hidden)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(100)
    expect(again.value).toMatchObject({ value: 'hidden', state: 'fresh' })
  })

  test('whose text cannot be read is TIDEMARK_POSITION', async () => {
    const { post } = bed()
    for (const text of ['', 'x', '0', '0/', '/0', 'a:b:0/1', '0/1@', '0/1@x', '123456789/0', '0/1\n', ' 0/1', '-1/0'])
      expect(await outcome(post.with({ minPosition: text })(1)), text).toMatchObject({ code: 'TIDEMARK_POSITION' })
    expect(await outcome(post.with({ minPosition: 7 as unknown as string })(1))).toMatchObject({
      code: 'TIDEMARK_POSITION',
    })
  })

  test('stops waiting when its signal is aborted', async () => {
    const { cache, post } = bed()
    await cache.settled()
    const gone = new AbortController()
    const read = outcome(post.with({ minPosition: '0/FFFF', signal: gone.signal })(1))
    await rest()
    gone.abort(new Error('gone'))
    expect(await read).toMatchObject({ message: 'gone' })
  })

  test('stops waiting when the cache is closed', async () => {
    const { source, cache, post } = bed()
    const beside = createCache({ source })
    await cache.settled()
    const read = outcome(post.with({ minPosition: '0/FFFF' })(1))
    await rest()
    await cache.close()
    expect(await read).toMatchObject({ code: 'TIDEMARK_CLOSED' })
    expect(cache.counters.loads).toBe(0)
    await beside.close()
  })

  test('is not peeked at before this process has reached it', async () => {
    const world = bed()
    const { source, log, cache, post } = world
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const { asOf } = await post.ask(1)
    expect(post.with({ minPosition: asOf! }).peek(1)).toBe('a')
    const position = commitUndelivered(world, 'b')
    expect(post.with({ minPosition: position }).peek(1)).toBe(undefined)
    expect(post.with({ minPosition: asOf!.replace('fake-1', 'other') }).peek(1)).toBe(undefined)
    log.isAutomatic = true
    log.deliver()
    await post(1)
    expect(post.with({ minPosition: position }).peek(1)).toBe('b')
  })

  test('is watched from there on, and never from before', async () => {
    const world = bed({ waitMax: '300ms', proofWait: '100ms', maxSilence: '1h' })
    const { source, log, clock, cache, post } = world
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    await post(1)
    const position = commitUndelivered(world, 'b')
    const watch = post.with({ minPosition: position }).watch(1)
    const first = seen(watch.next())
    await clock.advance(200)
    expect(first.isDone).toBe(false)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    log.deliver()
    await clock.advance(60)
    expect(first.value).toEqual({ value: 'b', done: false })
    await watch.return!()

    const early = post.with({ minPosition: 'fake-1:FF/0' }).watch(1)
    const late = seen(early.next())
    await clock.advance(400)
    expect(late.error).toMatchObject({ code: 'TIDEMARK_BEHIND' })
    const other = post.with({ minPosition: 'other:FF/0' }).watch(1)
    expect(await other.next()).toEqual({ value: 'b', done: false })
    await other.return!()

    const left = post.with({ minPosition: 'fake-1:FF/0' }).watch(1)
    const waits = left.next()
    await left.return!()
    expect(await waits).toEqual({ value: undefined, done: true })
    const gone = new AbortController()
    const aborted = post.with({ minPosition: 'fake-1:FF/0', signal: gone.signal }).watch(1).next()
    gone.abort()
    expect(await aborted).toEqual({ value: undefined, done: true })
    expect(cache.status().watched).toBe(0)
  })

  test('works the same for get and its answer', async () => {
    const { source, cache } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const load = ({ db }: { db: FakeReads }) => db.one('public.posts', { id: 1 })
    const { asOf } = await cache.ask('p', load)
    expect(await cache.get('p', load, { minPosition: asOf! })).toMatchObject({ title: 'a' })
    expect(await outcome(cache.get('p', load, { minPosition: 'nonsense' }))).toMatchObject({
      code: 'TIDEMARK_POSITION',
    })
  })
})

describe('with()', () => {
  test('adds to the options of an earlier with(), and leaves the definition as it was', async () => {
    const { source, cache, post } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const gone = AbortSignal.abort(new Error('gone'))
    const bound = post.with({ signal: gone }).with({ waitMax: '1ms' })
    await expect(bound(1)).rejects.toThrow('gone')
    expect(await post(1)).toBe('a')
  })

  test('refuses what belongs to define()', () => {
    const { post } = bed()
    expect(() => post.with({ ttl: '1s' } as object)).toThrow("There is no option 'ttl' of with()")
  })
})
