import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import type { EntryName } from '../events.js'
import type { RowChange } from '../log/change.js'
import { FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// An entry that stays might be served while nobody knows that it still holds; stay though its value, or what else it goes by, is another one; or
// go on depending on what it was made of before.

const isPointer = ({ table }: RowChange): boolean => table === 'pointers'

/** `shown` is the text that a pointer leads to. */
async function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock })
  source.put('texts', { id: 1, text: 'a' })
  source.put('texts', { id: 2, text: 'a' })
  source.put('texts', { id: 3, text: 'b' })
  source.put('pointers', { id: 1, to: 1 })
  const stayed: EntryName[] = []
  cache.on('stayed', (entry) => stayed.push(entry))
  const shown = cache.define('shown', async ({ db, mayStay }, id: number) => {
    mayStay(isPointer)
    const pointer = await db.one('pointers', { id })
    const text = await db.one('texts', { id: pointer?.to ?? 0 })
    return { text: text?.text }
  })
  await cache.settled()
  return { clock, source, log: source.log, cache, shown, stayed }
}

describe('an entry that a change may have left as it was', () => {
  test('stays where its value is the same: the same object, with the dependencies that it has now', async () => {
    const { source, cache, shown, stayed } = await bed()
    const before = await shown(1)
    source.put('pointers', { id: 1, to: 2 })
    await cache.settled()
    expect(shown.peek(1)).toBe(before)
    expect(stayed).toEqual([{ tenant: 'default', key: 'shown(1)' }])
    expect(cache.counters).toMatchObject({ doubted: 1, stayed: 1, invalidated: 1 })
    source.put('texts', { id: 1, text: 'x' })
    expect(shown.peek(1)).toBe(before)
    source.put('texts', { id: 2, text: 'y' })
    expect(shown.peek(1)).toBe(undefined)
  })

  test('is another one where its value is', async () => {
    const { source, cache, shown, stayed } = await bed()
    await shown(1)
    source.put('pointers', { id: 1, to: 3 })
    await cache.settled()
    expect(shown.peek(1)).toEqual({ text: 'b' })
    expect(stayed).toEqual([])
    expect(cache.counters).toMatchObject({ doubted: 1, stayed: 0 })
  })

  test('is served to nobody before it was loaded again, and not loaded before the change can be seen', async () => {
    const { source, log, clock, cache, shown, stayed } = await bed()
    await shown(1)
    const gate = new Gate()
    source.gate = gate.passed
    log.isAutomatic = false
    source.put('pointers', { id: 1, to: 2 })
    const { reads } = source
    log.deliver()
    await rest()
    expect(shown.peek(1)).toBe(undefined)
    expect(source.reads).toBe(reads)
    log.show(log.commits.at(-1)!)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    for (let turn = 0; source.reads === reads && turn < 1_000; turn++) {
      await clock.advance(10)
      await rest()
    }
    expect(source.reads).toBe(reads + 1)
    expect(shown.peek(1)).toBe(undefined)
    gate.open()
    await cache.settled()
    expect(shown.peek(1)).toEqual({ text: 'a' })
    expect(stayed).toHaveLength(1)
  })

  test('goes with the first change of the commit that leaves no doubt, before or behind the others', async () => {
    for (const isFirst of [true, false]) {
      const { log, cache, shown, stayed } = await bed()
      await shown(1)
      const image = (row: Record<string, string>) => ({ old: row, new: { ...row, other: 'x' } })
      const pointer: RowChange = { kind: 'row', op: 'update', table: 'pointers', ...image({ id: '1' }) }
      const text: RowChange = { kind: 'row', op: 'update', table: 'texts', ...image({ id: '1' }) }
      log.write(isFirst ? [text, pointer] : [pointer, text])
      await cache.settled()
      expect(shown.peek(1)).toBe(undefined)
      expect(cache.counters).toMatchObject({ doubted: 0, invalidated: 1 })
      expect(stayed).toEqual([])
    }
  })

  test('is dropped, not expired, where a request of the same commit lets it expire', async () => {
    const { log, cache, shown } = await bed()
    const graced = cache.define(
      'graced',
      async ({ db, mayStay, tag }) => {
        mayStay(isPointer)
        tag('t')
        return (await db.one('pointers', { id: 1 }))?.to
      },
      { grace: '1h' },
    )
    await graced()
    await shown(1)
    const pointer: RowChange = {
      kind: 'row',
      op: 'update',
      table: 'pointers',
      old: { id: '1' },
      new: { id: '1', to: '2' },
    }
    const expiry = { kind: 'target', mode: 'expire', targets: [{ kind: 'tag', tenant: 'default', tag: 't' }] } as const
    log.write([pointer, expiry])
    expect(cache.explain('graced()').stored).toBe(false)
  })

  test('goes where the new load says no more that the change may leave it as it is', async () => {
    const { source, cache, stayed } = await bed()
    let isInDoubt = true
    const pinned = cache.define('pinned', async ({ db, mayStay }) => {
      if (isInDoubt) mayStay(isPointer)
      await db.one('pointers', { id: 1 })
      return null
    })
    await pinned()
    isInDoubt = false
    source.put('pointers', { id: 1, to: 2 })
    await cache.settled()
    expect(cache.counters).toMatchObject({ doubted: 1, stayed: 0 })
    expect(stayed).toEqual([])
  })

  test('can go by the tags of what it was computed from', async () => {
    const { source, cache, stayed } = await bed()
    const inner = cache.define('inner', async ({ db, tag }) => {
      tag('sure')
      return (await db.one('pointers', { id: 1 }))?.id
    })
    const outer = cache.define('outer', ({ mayStay }) => {
      mayStay((_, isTagged) => !isTagged('sure'))
      return inner()
    })
    await outer()
    source.put('pointers', { id: 1, to: 2 })
    await cache.settled()
    expect(outer.peek()).toBe(undefined)
    expect(stayed).toEqual([])
  })

  test('is not loaded again beside 256 others that are: it goes', async () => {
    const { source, cache } = await bed()
    const many = cache.define('many', async ({ db, mayStay }, _: number) => {
      mayStay(isPointer)
      await db.one('pointers', { id: 1 })
      return null
    })
    for (let id = 0; id < 300; id++) await many(id)
    source.put('pointers', { id: 1, to: 2 })
    await cache.settled()
    expect(cache.counters).toMatchObject({ doubted: 256, stayed: 256, invalidated: 300 })
    const kept = Array.from({ length: 300 }, (_, id) => cache.explain(`many(${id})`).stored)
    expect(kept.filter((isStored) => isStored)).toHaveLength(256)
  })

  test('is gone where its load fails, and the next read is told why', async () => {
    const { source, cache, shown } = await bed()
    await shown(1)
    source.isDown = true
    source.put('pointers', { id: 1, to: 2 })
    await cache.settled()
    expect(shown.peek(1)).toBe(undefined)
    await expect(shown(1)).rejects.toThrow('down')
  })
})
