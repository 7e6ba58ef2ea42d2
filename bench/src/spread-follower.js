// One of several processes that follow a database: `node spread-follower.js <url> <port of Redis, or 0> <how many>`, forked. With Redis one of them reads
// the log and relays it. Says when it keeps; asked for `seen`, answers each commit's position with ms from the commit to here; for `role`, its own,
// and how far it is.
import { redisRelay } from '../../packages/redis/dist/index.js'
import { followCached } from './floor.js'

/** The reads of all processes together are as many, however many processes there are. */
const READ_MS = 5
const POSTS = 1_000
const [url, port, processes] = process.argv.slice(2)
const shared =
  port === '0'
    ? {}
    : { slot: 'bench_spread', secret: 'ours', relay: redisRelay({ url: `redis://127.0.0.1:${port}`, secret: 'ours' }) }
let seen = []
const { cache, post } = await followCached(
  url,
  'bench_spread',
  ({ position, committedAt }) => seen.push([position, performance.timeOrigin + performance.now() - committedAt]),
  shared,
)
for (let id = 1; id <= POSTS; id++) await post(id)
let next = 0
setInterval(() => void post((next++ % POSTS) + 1).catch(() => {}), READ_MS * Number(processes))
process.on('message', (asked) => {
  if (asked === 'seen') {
    process.send({ seen })
    seen = []
  } else {
    const { log, tidemark } = cache.status()
    process.send({ role: log.role, tidemark, gaps: cache.counters.gaps })
  }
})
process.on('disconnect', () => process.exit())
process.send({ isReady: true })
