// One process with a cache: reads at a given rate and reports each answer, and what it knows of its own state.
import { postgres } from '@tidemark/postgres'
import { createCache } from 'tidemark'
import { now } from './clock.js'
import { generator } from './random.js'

const { options, keys, tenants, seed, maxSilence, number, marks } = JSON.parse(process.argv[2])
const TICK_MS = 10
const REPORT_MS = 100

const source = postgres(options)
const cache = createCache({ source, maxSilence })
const views = Array.from({ length: tenants }, (_, n) => cache.tenant(`tenant${n}`))
const load = ({ sql }, id) => sql.one`select tenant, version from items where id = ${id}`
const item = cache.define('item', load)
const items = views.map((view) => view.in(item))
/** How often a view was replaced, where a scenario does so: read of some of its rows, and judged as one. */
const mark = cache.define('mark', ({ sql }, id) => sql.one`select mark from marked where id = ${id}`)
const MARKED = 10
const random = generator(seed + number)

let rate = 0
let owed = 0
let reads = []
/** Reads that failed, `[start, code, end]`. */
let errors = []

cache.on('started', ({ emptied }) => process.send({ kind: 'started', at: now(), emptied }))
cache.on('lost', ({ reason }) => process.send({ kind: 'lost', at: now(), code: reason.code }))

async function readMark() {
  const start = now()
  const { value, state, from } = await mark.ask(random(MARKED))
  reads.push(['marked', Number(value?.mark ?? -1), start, state, from, now()])
}

async function readOne() {
  if (marks && random(10) === 0) return readMark().catch((error) => errors.push([now(), error.code, now()]))
  const id = random(keys)
  const start = now()
  try {
    const { value, state, from } = await items[id % tenants].ask(id)
    if (value !== undefined && value.tenant !== `tenant${id % tenants}`) process.send({ kind: 'crossed', id, value })
    reads.push([id, Number(value?.version ?? -1), start, state, from, now()])
  } catch (error) {
    errors.push([start, error.code ?? error.name, now()])
  }
}

setInterval(() => {
  owed += (rate * TICK_MS) / 1_000
  for (; owed >= 1; owed--) void readOne()
}, TICK_MS)

setInterval(() => {
  const { keeping, current, silenceMs, log, tidemark: position } = cache.status()
  process.send({
    kind: 'status',
    at: now(),
    keeping,
    current,
    silenceMs,
    log,
    position,
    rss: process.memoryUsage.rss(),
  })
  if (reads.length === 0 && errors.length === 0) return
  process.send({ kind: 'reads', reads, errors })
  reads = []
  errors = []
}, REPORT_MS)

process.on('message', async ({ do: what, id, ...wanted }) => {
  if (what === 'read') rate = wanted.rate
  if (what === 'settle') await cache.settled()
  if (what === 'entry') {
    const answer = await cache
      .ask(wanted.text, ({ sql }) => sql.query(wanted.text).then(({ rows }) => rows))
      .catch(({ code }) => ({ from: code }))
    return process.send({ kind: 'answer', id, from: answer.from })
  }
  if (what === 'kept') {
    const kept = []
    for (let key = 0; key < keys; key++) {
      const value = items[key % tenants].peek(key)
      if (value !== undefined) kept.push([key, Number(value?.version ?? -1)])
    }
    return process.send({ kind: 'answer', id, kept, counters: cache.counters })
  }
  if (what === 'stop') {
    await cache.close()
    process.exit(0)
  }
  process.send({ kind: 'answer', id })
})
process.on('disconnect', () => process.exit(0))
process.send({ kind: 'ready' })
