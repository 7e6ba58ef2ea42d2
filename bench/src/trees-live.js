// Live subscribers to distinct nodes of one config, each its own: `node --expose-gc trees-live.js library|sse|sockets <url> <subscribers> <edits>`. Prints
// {"subscribers", "p50", "p99": ms from the call of an edit until its own subscriber has the value, "others": how many others were woken by
// all edits, "nodeBytes": heap and external memory of a node that is cached, "subscriberBytes": the same of a subscriber, beside that}.
// Over HTTP the clients are processes of their own. Over SSE each has a connection, so that there are fewer where the system's limit of open files
// is lower; over Socket.IO a hundred share one.
import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { postgres } from '@tidemark/postgres'
import { parseConfig, serve } from '@tidemark/server'
import { openTrees } from '@tidemark/trees'
import pg from 'pg'
import { createCache } from 'tidemark'
import { quantile, usedBytes } from './measure.js'

// Queries are checked as often as in production.
process.env.NODE_ENV ??= 'production'
const [kind, url, ...counts] = process.argv.slice(2)
const [wanted, edits] = counts.map(Number)
const GROUP = 100
const AT_ONCE = 200
const CLIENT_PROCESSES = 2
const FILES_SPARED = 500
const WARM_UP = 5

const openFiles = Number(process.report.getReport().userLimits.open_files.soft) || Number.POSITIVE_INFINITY
const subscribers = kind === 'sse' ? Math.min(wanted, openFiles - FILES_SPARED) : wanted
const pathOf = (index) => `/g${Math.floor(index / GROUP)}/k${index}`
const now = () => performance.timeOrigin + performance.now()
/** Hears of each event: the node's index, the value, ms since 1970. */
let heard = () => {}

const { cache, tree, put, subscribe, close } = await { library: inLibrary, sse: overHttp, sockets: overHttp }[kind]()
await fill()
// New tables: nothing is kept until it is sure that the log has them.
await until(async () => {
  await tree.node('').get()
  return cache.status().entries > 0
})
// The first edit of what a program wrote makes the config's head, which all of its nodes hear of.
await put(0, 'first')
await cache.settled()
const before = await usedBytes()
await until(async () => {
  await inParts((index) => tree.node(pathOf(index)).get())
  return cache.status().entries >= subscribers
})
const cached = await usedBytes()
await subscribe()
const subscribed = await usedBytes()

const figures = []
let others = 0
for (let i = 0; i < edits + WARM_UP; i++) {
  const own = (i * 7_919) % subscribers
  const value = `edit ${i}`
  const seen = new Promise((resolve) => {
    heard = (index, data, at) => {
      if (index === own && data === value) resolve(at)
      else others++
    }
  })
  const begin = now()
  const done = put(own, value)
  const at = await Promise.race([seen, sleep(30_000, undefined, { ref: false })])
  if (at === undefined) throw new Error(`The subscriber of ${pathOf(own)} was not told in 30 s.`)
  await done
  if (i >= WARM_UP) figures.push(at - begin)
}
// Who was woken in vain by the last edits would say so by now.
await cache.settled()
await sleep(200)
console.log(
  JSON.stringify({
    subscribers,
    p50: quantile(figures, 0.5),
    p99: quantile(figures, 0.99),
    others,
    nodeBytes: (cached - before) / subscribers,
    subscriberBytes: (subscribed - cached) / subscribers,
  }),
)
await close()

async function inLibrary() {
  const source = postgres({ url, publication: 'bench_live_library' })
  const cache = createCache({ source, watchMax: subscribers })
  const trees = await openTrees({ cache, source })
  const tree = trees.tree(kind, 'live')
  const ended = new AbortController()
  const watching = []
  const watch = async (index, begun) => {
    for await (const value of tree.node(pathOf(index)).watch({ signal: ended.signal })) {
      if (begun) begun = begun()
      else heard(index, value, now())
    }
  }
  return {
    cache,
    tree,
    put: (index, value) => tree.put(pathOf(index), { value }),
    subscribe: () => inParts((index) => new Promise((resolve) => watching.push(watch(index, resolve)))),
    async close() {
      ended.abort()
      await Promise.all(watching)
      await cache.close()
    },
  }
}

async function overHttp() {
  const config = parseConfig(
    `source: { url: ${JSON.stringify(url)}, publication: bench_live_${kind} }\nsocketio: { subscriptions: 100, messages: 10000 }\ntrees: { enabled: true }\njournal: { enabled: false }\n` +
      `server: { streams: ${subscribers}, streamsPerAddress: ${subscribers} }\n`,
    'bench.yaml',
    {},
  )
  const server = await serve({ config, port: 0, env: {}, signals: false, logLevel: 'silent' })
  const { cache } = server
  const address = `${server.url}/api/trees/${kind}/live`
  // Fills the server's own entries: the same keys, of the same tenant.
  const tree = { node: (path) => ({ get: () => ask(address + path) }) }
  const clients = Array.from({ length: CLIENT_PROCESSES }, () =>
    kind === 'sse'
      ? fork(fileURLToPath(new URL('live-clients.js', import.meta.url)), [address], { execArgv: [] })
      : fork(fileURLToPath(new URL('live-sockets.js', import.meta.url)), [server.url, kind, 'live'], { execArgv: [] }),
  )
  return {
    cache,
    tree,
    put: (index, value) => ask(address + pathOf(index), { method: 'PUT', body: JSON.stringify(value) }),
    async subscribe() {
      const opened = clients.map(
        (client, i) =>
          new Promise((resolve, reject) => {
            client.once('exit', (code) => reject(new Error(`The clients ended (${code}).`)))
            client.on('message', (event) => {
              if (event === 'open') resolve()
              else heard(event.index, JSON.parse(event.data), event.at)
            })
            const indexes = Array.from({ length: subscribers }, (_, index) => index)
            client.send(
              indexes
                .filter((index) => index % CLIENT_PROCESSES === i)
                .map((index) => ({
                  index,
                  path: kind === 'sse' ? `/~live?path=${encodeURIComponent(pathOf(index))}` : pathOf(index),
                })),
            )
          }),
      )
      await Promise.all(opened)
    },
    async close() {
      for (const client of clients) client.removeAllListeners('exit').disconnect()
      await server.close()
    },
  }
}

async function ask(address, { method = 'GET', body } = {}) {
  const response = await fetch(address, { method, body, headers: body ? { 'content-type': 'application/json' } : {} })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${address}: ${response.status} ${text}`)
  return text
}

/** Rows as any program may write them. */
async function fill() {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `insert into tidemark_trees.configs (tenant, config, path, value)
     select $2, 'live', '', '{}'::jsonb
     union all select $2, 'live', '/g' || g, '{}' from generate_series(0, ($1::int - 1) / ${GROUP}) g
     union all select $2, 'live', '/g' || n / ${GROUP} || '/k' || n, to_jsonb(n) from generate_series(0, $1::int - 1) n`,
    [subscribers, kind],
  )
  await client.query('analyze tidemark_trees.configs')
  await client.end()
}

async function inParts(each) {
  for (let from = 0; from < subscribers; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, subscribers - from) }, (_, i) => each(from + i)))
}

async function until(isDone) {
  const end = performance.now() + 60_000
  while (!(await isDone())) {
    if (performance.now() > end) throw new Error(`Waited for 60 s: ${isDone}`)
    await sleep(10)
  }
}
