import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import { FakeSource, ManualClock, MemoryL2, rest } from '../testing/index.js'
import type { L2 } from '../tiers/l2.js'

// A session that goes from process to process might see a row as it was before what it saw in the last one.

/** A process: it follows what every other one follows, by a log of its own. */
function start(l2?: L2) {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock, maxSilence: '30s', ...(l2 && { l2 }) })
  const post = cache.define('post', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
  return { clock, source, log: source.log, cache, post }
}
type Process = ReturnType<typeof start>

/** Written and seen by everybody, but the processes' logs have not delivered it. */
function commitUndelivered(processes: readonly Process[], title: string): void {
  for (const { source, log } of processes) {
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title })
    log.show(log.commits.at(-1)!)
  }
}

async function answered<Value>({ clock, log }: Process, promise: Promise<Value>): Promise<Value> {
  let isDone = false
  const done = promise.finally(() => {
    isDone = true
  })
  while (!isDone) {
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
    await clock.advance(1)
  }
  return done
}

async function both(): Promise<[Process, Process]> {
  const processes: [Process, Process] = [start(), start()]
  for (const { source, cache } of processes) {
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
  }
  return processes
}

describe('an answer whose value was loaded just now', () => {
  test('may show a commit that its process has not applied: what it shows is carried, not as of when it holds', async () => {
    const [first, second] = await both()
    await second.post(1)
    commitUndelivered([first, second], 'b')
    const { value, asOf, shows } = await answered(first, first.post.with({ shows: true }).ask(1))
    expect([value, shows]).toEqual(['b', `fake-1:0/${first.log.end.toString(16).toUpperCase()}`])
    // As of then the other process has the truth, which is older than what was seen.
    expect(await second.post.with({ minPosition: asOf! })(1)).toBe('a')
    const next = second.post.with({ minPosition: shows!, shows: true }).ask(1)
    await rest()
    second.log.deliver()
    expect(await answered(second, next)).toMatchObject({ value: 'b', shows })
  })

  test('is no newer than what another process holds that is where its source is now', async () => {
    const [first, second] = await both()
    await second.post(1)
    commitUndelivered([first, second], 'b')
    const { value, asOf } = await answered(first, first.post.with({ shows: true }).ask(1))
    // Who has only the position as of which it holds can ask the other process to catch up.
    const latest = second.cache.position({ latest: true })
    await rest()
    second.log.deliver()
    const position = (await answered(second, latest))!
    expect(position).not.toBe(asOf)
    expect(await answered(second, second.post.with({ minPosition: position })(1))).toBe(value)
  })

  test('and that is unknown where the source does not answer, within the time that reads wait', async () => {
    const [{ log, clock, cache }] = await both()
    log.isUp = false
    const latest = cache.position({ latest: true })
    await rest()
    await clock.advance(1_000)
    expect(await latest).toBeUndefined()
  })

  test('says so of later hits too, until all that was committed before it was read is applied', async () => {
    const [first] = await both()
    commitUndelivered([first], 'b')
    const { shows } = await answered(first, first.post.with({ shows: true }).ask(1))
    const ask = first.post.with({ shows: true })
    await first.clock.advance(1)
    const hit = await answered(first, ask.ask(1))
    expect(hit).toMatchObject({ from: 'l1', shows })
    expect(hit.asOf).not.toBe(shows)
    first.log.deliver()
    await answered(first, ask.ask(1))
    // At rest the source is asked where its log ends.
    await first.clock.advance(10_000)
    await answered(first, rest())
    expect(await ask.ask(1)).toMatchObject({ from: 'l1', asOf: shows, shows })
    expect(first.log.probes).toHaveLength(0)
  })

  test('is given without it where the source does not say, and where nobody asked', async () => {
    const [{ clock, log, cache, post }] = await both()
    await clock.advance(10)
    expect(await post.ask(1)).not.toHaveProperty('shows')
    await cache.invalidate({ keys: [post.key(1)] })
    await clock.advance(10)
    log.isAutomatic = false
    const asking = post.with({ shows: true }).ask(1)
    await rest()
    await clock.advance(500)
    expect(await asking).toMatchObject({ value: 'a', state: 'fresh' })
    expect(await asking).not.toHaveProperty('shows')
  })
})

test('what came from L2 was read by another process, whatever its clock said', async () => {
  const l2 = new MemoryL2()
  const [first, second] = [start(l2), start(l2)]
  for (const { source, cache } of [first, second]) {
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
  }
  await first.post(1)
  await rest()
  await second.clock.advance(1_000)
  commitUndelivered([second], 'b')
  const { from, shows } = await answered(second, second.post.with({ shows: true }).ask(1))
  expect([from, shows]).toEqual(['l2', `fake-1:0/${second.log.end.toString(16).toUpperCase()}`])
})
