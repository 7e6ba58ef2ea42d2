import { expect, test } from 'vitest'
import { createCache } from '../create.js'
import { MemoryLog } from '../log/memory.js'
import { rest } from '../testing/index.js'

test('caches of one log share what they invalidate, and the last of them closes it', async () => {
  const log = new MemoryLog()
  const [first, second] = [createCache({ log }), createCache({ log })]
  let runs = 0
  const load = () => second.get('a', () => ++runs, { tags: ['t'] })
  expect([await load(), await load()]).toEqual([1, 1])
  await first.invalidate({ tags: ['t'] })
  expect(await load()).toBe(2)
  await first.close()
  await rest()
  expect(log.status().state).toBe('off')
  await second.close()
  expect(log.status().state).toBe('closed')
})

test('a log that was closed with its cache is refused', async () => {
  const log = new MemoryLog()
  await createCache({ log }).close()
  expect(() => createCache({ log })).toThrow(expect.objectContaining({ code: 'TIDEMARK_OPTION' }))
})

test('what is no log is refused', () => {
  expect(() => createCache({ log: {} as never })).toThrow(/log must be a log/)
})
