// A process of several that share an L2 and ask for one missing key at once: `node misses.js <port of Redis>`, forked. Says when it is ready,
// waits to be told how many reads, and answers with its runs of the loader.
import { redisL2, redisLog } from '../../packages/redis/dist/index.js'
import { createCache } from '../../packages/tidemark/dist/index.js'

const LOAD_MS = 50
const url = `redis://127.0.0.1:${process.argv[2]}`
const l2 = redisL2({ url, deadline: '30s', batchDeadline: '30s' })
const cache = createCache({ log: redisLog({ url }), l2 })
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
let loads = 0
const load = async () => {
  loads++
  await pause(LOAD_MS)
  return { some: 'value' }
}
while (!(cache.status().keeping && cache.status().current && l2.status().state === 'ready')) await pause(5)
// L2 was told where the log stands.
while ((await l2.read('none')).tide === undefined) await pause(5)
process.on('message', async ({ key, reads }) => {
  loads = 0
  await Promise.all(Array.from({ length: reads }, () => cache.get(key, load, { tags: ['a'] })))
  process.send({ loads })
})
process.on('disconnect', () => process.exit())
process.send({ isReady: true })
