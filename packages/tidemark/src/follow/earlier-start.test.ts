import { expect, test } from 'vitest'
import { createCache } from '../create.js'
import type { LogListener } from '../log/log.js'
import { FakeSource, ManualClock, MemoryL2, rest } from '../testing/index.js'

// Who changes between leading and following begins anew where all can be seen, which may lie before what it had applied.

async function bed() {
  const source = new FakeSource()
  const { log } = source
  let listener!: LogListener
  const follow = log.follow.bind(log)
  log.follow = (given) => {
    listener = given
    follow(given)
  }
  const clock = new ManualClock()
  const l2 = new MemoryL2({ now: () => clock.now() })
  const cache = createCache({ source, clock, l2, proofWait: '10ms' })
  source.put('public.posts', { id: 1, title: 'a' })
  await cache.settled()
  const row = cache.define('row', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
  return { source, log, clock, cache, l2, row, listener }
}

test('a log that is taken up before what was applied says fresh only once it has come as far again', async () => {
  const { source, log, clock, cache, row, listener } = await bed()
  expect(await row.ask(1)).toMatchObject({ value: 'a', state: 'fresh', from: 'source' })
  await rest()
  // What comes again is the test's to say.
  log.nudge = () => {}
  const earlier = log.end
  source.put('public.posts', { id: 1, title: 'b' })
  const { tidemark } = cache.status()
  listener.started({ epoch: 'fake-1', lsn: earlier, proof: { kind: 'visible' } })
  await rest()
  // L2 may be as far back, and loads may not show what is hidden.
  const read = row.ask(1)
  await clock.advance(20)
  expect(await read).toMatchObject({ state: 'fenced', asOf: undefined })
  expect(cache.status().keeping).toBe(false)
  log.repeat(log.commits.at(-1)!)
  await rest()
  expect(cache.status()).toMatchObject({ tidemark, keeping: true })
  expect(await row.ask(1)).toMatchObject({ value: 'b', state: 'fresh', asOf: tidemark })
  await cache.close()
})

test('another history is not compared with what was applied of the one before', async () => {
  const { cache, row, listener } = await bed()
  listener.started({ epoch: 'fake-2', lsn: 8, proof: { kind: 'visible' } })
  await rest()
  expect(cache.status().keeping).toBe(true)
  expect(await row.ask(1)).toMatchObject({ value: 'a' })
  await cache.close()
})
