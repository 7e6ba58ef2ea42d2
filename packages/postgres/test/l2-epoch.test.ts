import { testDatabase } from '@tidemark/embedded/testing'
import { createCache } from 'tidemark'
import { MemoryL2 } from 'tidemark/testing'
import { expect, test } from 'vitest'
import { postgres } from '../src/index.js'
import { until } from './recorder.js'

test('what L2 has is of one publication of one database: another would be told of other tables', async () => {
  const database = await testDatabase()
  const epochs: string[] = []
  for (const publication of ['one', 'two', 'one']) {
    const l2 = new MemoryL2()
    const cache = createCache({ source: postgres({ url: database.url, publication }), l2 })
    await until(() => l2.tide !== undefined)
    epochs.push(l2.tide!.epoch)
    await cache.close()
  }
  await database.drop()
  expect(epochs[0]).not.toBe(epochs[1])
  expect(epochs[0]).toBe(epochs[2])
})
