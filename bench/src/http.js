// The HTTP API, as a client in a process of its own sees it: `node http.js <url> <entries> <seconds>`. Prints as JSON:
// keys        keys per second that POST /invalidate/key invalidates, 1,000 in each request, four at a time, through PostgreSQL's log
// pattern     ms until POST /api/invalidate/pattern is answered, which names 1 % of the entries (median); `preview` the same
// get, bare   µs of the server's processor time for a GET: of a hit, and of a route of bare Fastify that sends the same text
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseConfig, serve } from '@tidemark/server'
import fastify from 'fastify'
import { median } from './measure.js'

const [url, entries, seconds] = [process.argv[2], ...process.argv.slice(3).map(Number)]
const GROUPS = 100
const PASSES = 9
const HIT = { id: 7, name: 'name 7', list: [1, 2, 3] }

const config = parseConfig(
  `source: { url: ${JSON.stringify(url)}, publication: bench_http }\ncache: { maxEntries: ${entries + 1_000}, maxBytes: 4000000000 }\n`,
  'bench.yaml',
  {},
)
const server = await serve({ config, port: 0, env: {}, signals: false, logLevel: 'silent' })
const { cache } = server
while (!cache.status().keeping) await sleep(10)
const post = async (path, body) => {
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (response.status !== 200) throw new Error(await response.text())
  return response.json()
}

const keys = await client(['keys', server.url, seconds])
await fill()
const figures = { keys: keys.perSecond, ...(await patterns()), ...(await gets()) }
console.log(JSON.stringify(figures))
await server.close()

async function patterns() {
  const group = (pass) => `g${String(pass).padStart(2, '0')}`
  // Puts the keys in order.
  await post('/api/invalidate/pattern', { pattern: 'g99:*' })
  const [asked, previewed] = [[], []]
  // What the one before named is stale at once, and out of memory a little later: that is not the next one's time.
  const rest = async () => {
    while (cache.status().sweeping > 0) await sleep(1)
  }
  for (let pass = 0; pass < PASSES; pass++) {
    await rest()
    previewed.push(await timed(() => post('/api/invalidate/pattern', { pattern: `${group(pass)}:*`, dryRun: true })))
    await rest()
    asked.push(await timed(() => post('/api/invalidate/pattern', { pattern: `${group(pass)}:*` })))
  }
  return { pattern: median(asked), preview: median(previewed) }
}

async function gets() {
  await cache.set('user:7', HIT)
  const bare = fastify()
  bare.get('/api/cache/:key', (_, reply) =>
    reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(HIT)),
  )
  const address = await bare.listen({ host: '127.0.0.1', port: 0 })
  const rounds = { get: [], bare: [] }
  for (let round = 0; round < 4; round++) {
    rounds.bare.push(await costOf(address))
    rounds.get.push(await costOf(server.url))
  }
  await bare.close()
  // The first round compiles.
  return { get: median(rounds.get.slice(1)), bare: median(rounds.bare.slice(1)) }
}

async function costOf(address) {
  const before = process.cpuUsage()
  const { count } = await client(['get', address, seconds])
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

async function timed(run) {
  const began = performance.now()
  await run()
  return performance.now() - began
}

async function fill() {
  const options = Object.freeze({ static: true })
  for (let id = 0; id < entries; id++) {
    await cache.get(`g${String(id % GROUPS).padStart(2, '0')}:user:${id}`, () => id, options)
    if (id % 1_000 === 999) await new Promise(setImmediate)
  }
}

/** Another process asks, so that its own work is not measured. */
function client(args) {
  const path = fileURLToPath(new URL('http-client.js', import.meta.url))
  const child = spawn(process.execPath, [path, ...args.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child
      .once('error', reject)
      .once('close', (code) => (code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`client: ${code}`))))
  })
}
