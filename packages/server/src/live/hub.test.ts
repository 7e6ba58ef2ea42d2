import { createCache, parsePosition, systemClock } from 'tidemark'
import { FakeSource, rest } from 'tidemark/testing'
import { afterEach, expect, test } from 'vitest'
import { until } from '../../test/until.js'
import { type Representation, representationOf } from '../resources/representation.js'
import { Hub } from './hub.js'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  while (closers.length > 0) await closers.pop()!()
})

/** A process that follows a source in which every step is the test's, and streams one post of it. */
async function start() {
  const source = new FakeSource()
  const { log } = source
  source.put('public.posts', { id: 1, title: 'old' })
  const cache = createCache({ source })
  closers.push(() => cache.close())
  const post = cache.define('post', async ({ db }): Promise<Representation> => {
    const row = await db.one('public.posts', { id: 1 })
    return representationOf(String(row?.title))
  })
  await cache.settled()
  await post()
  log.isAutomatic = false
  const hub = new Hub(
    {
      key: 'post',
      ask: (options = {}) => post.with(options).ask(),
      watch: (signal) => post.with({ signal }).watchAnswers(),
    },
    {
      clock: systemClock,
      retryMs: () => 1_000,
      epoch: () => parsePosition(cache.status().tidemark!).epoch,
      latest: (signal) => cache.position({ signal, latest: true }),
    },
    () => {},
  )
  /** What has happened by now, with all questions to the source answered. */
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      for (const probe of log.probes.splice(0)) probe.answer()
      await rest()
    }
  }
  return { source, log, cache, hub, settle }
}

/** A client that comes with an id, and what it is told. */
function subscribe(hub: Hub, id: string) {
  const told = { states: [] as string[], isCurrent: false }
  const leaving = new AbortController()
  closers.push(async () => leaving.abort())
  const sink = {
    signal: leaving.signal,
    onRoom: () => {},
    state: ({ of }: { readonly of: Representation }) => told.states.push(of.body) > 0,
    unchanged: () => {
      told.isCurrent = true
    },
    waiting: () => {},
    refuse: () => void told.states.push('refused'),
    end: () => void told.states.push('ended'),
  }
  hub.subscribe(sink, id)
  return told
}

test('a client that saw a commit elsewhere, before this process applied it, is sent nothing older', async () => {
  const { source, log, cache, hub, settle } = await start()
  source.put('public.posts', { id: 1, title: 'new' })
  log.show(log.commits.at(-1)!)
  // Another process loaded it at once: as of where both have applied the log, that is right.
  const told = subscribe(hub, `${cache.status().tidemark}-${representationOf('new').hash}`)
  await settle()
  expect(told).toEqual({ states: [], isCurrent: false })
  log.deliver()
  await until(async () => {
    await settle()
    return told.isCurrent
  })
  expect(told.states).toEqual([])
  source.put('public.posts', { id: 1, title: 'newer' })
  log.show(log.commits.at(-1)!)
  log.deliver()
  await until(async () => {
    await settle()
    return told.states.length > 0
  })
  expect(told.states).toEqual(['newer'])
})
