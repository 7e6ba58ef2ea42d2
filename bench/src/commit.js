// From just before an UPDATE is sent until it is seen: `node commit.js raw|l1|sse <url> <commits>`, one at a time with a
// pause between. Prints {"p50", "p99": ms}.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { followRaw } from './floor.js'
import { quantile } from './measure.js'

const PAUSE_MS = 20
const WARM_UP = 10
const [kind, url, count] = process.argv.slice(2)

const followers = {
  /** The floor: a bare replication connection; seen is the commit's message, undecoded. */
  async raw() {
    let seen = () => {}
    await followRaw(url, 'bench_raw', () => seen())
    return { next: () => new Promise((resolve) => (seen = resolve)) }
  },

  /** Seen is the moment at which the change has dropped the entry from L1. */
  async l1() {
    const { createCache } = await import('tidemark')
    const { postgres } = await import('@tidemark/postgres')
    const cache = createCache({ source: postgres({ url, publication: 'bench_l1' }) })
    const post = cache.define('post', ({ sql }, id) => sql.one`select * from posts where id = ${id}`)
    await until(async () => (await post(1)) && post.peek(1) !== undefined)
    return {
      prepare: () => until(async () => (await post(1)) && post.peek(1) !== undefined),
      next: () =>
        new Promise((resolve) => {
          const stop = cache.on('applied', ({ touched }) => {
            if (touched === 0) return
            stop()
            resolve()
          })
        }),
    }
  },

  /** Seen is the event with the new value, at a client of the server's stream. */
  async sse() {
    const { serve, parseConfig } = await import('@tidemark/server')
    const { get } = await import('node:http')
    const config = parseConfig(
      `source: { url: ${JSON.stringify(url)}, publication: bench_sse }\n` +
        'resources: { post: { params: { id: bigint }, sql: "select * from posts where id = :id" } }\n',
      'bench.yaml',
      {},
    )
    const server = await serve({ config, port: 0, env: {}, signals: false })
    let heard = () => {}
    const response = await new Promise((resolve) => get(`${server.url}/api/streams/post?id=1`, resolve))
    response.setEncoding('utf8').on('data', (text) => {
      if (text.includes('data: ')) heard(text)
    })
    await new Promise((resolve) => (heard = resolve))
    return {
      next: (title) =>
        new Promise((resolve) => {
          heard = (text) => text.includes(title) && resolve()
        }),
    }
  },
}

async function until(isDone) {
  const end = performance.now() + 60_000
  while (!(await isDone())) {
    if (performance.now() > end) throw new Error('Waited for 60 s.')
    await sleep(10)
  }
}

const writer = new pg.Client({ connectionString: url })
await writer.connect()
const follower = await followers[kind]()
const figures = []
for (let i = 0; i < Number(count) + WARM_UP; i++) {
  await follower.prepare?.()
  await sleep(PAUSE_MS)
  const title = `${kind} ${i} ${process.pid}`
  const seen = follower.next(title)
  const begin = performance.now()
  const written = writer.query('update posts set title = $1 where id = 1', [title])
  await seen
  const ms = performance.now() - begin
  if (i >= WARM_UP) figures.push(ms)
  await written
}
console.log(JSON.stringify({ p50: quantile(figures, 0.5), p99: quantile(figures, 0.99) }))
process.exit()
