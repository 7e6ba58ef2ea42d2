// One process with a cache: reads at a given rate and reports each answer, and what it knows of its own state.
import { setTimeout as sleep } from 'node:timers/promises'
import { postgres } from '@tidemark/postgres'
import { createCache } from 'tidemark'
import { now } from './clock.js'
import { generator } from './random.js'
import { Rehearsals } from './rehearsals.js'
import { Session } from './session.js'
import { tiersOf } from './tiers.js'

const { options, keys, tenants, seed, maxSilence, number, marks, redis, cacheOptions } = JSON.parse(process.argv[2])
const TICK_MS = 10
const REPORT_MS = 100
const READ_ALL_AT_ONCE = 50

const random = generator(seed + number)
/** What is wrong with loaders, and in which moment the process is to end; a scenario sets it. */
let trouble = {}
const { l2, relay } = redis
  ? tiersOf(
      redis,
      seed + number,
      (moment) => trouble.dieAt === moment && die(),
      () => trouble.isBusBad,
    )
  : {}
const source = postgres({ ...options, ...(relay && { relay }) })
const cache = createCache({ source, maxSilence, ...(l2 && { l2 }), ...cacheOptions })
const views = Array.from({ length: tenants }, (_, n) => cache.tenant(`tenant${n}`))
/** Runs of loaders, by key, and those that run now. */
const loads = new Uint32Array(keys)
async function load({ sql }, id) {
  loads[id]++
  const row = await sql.one`select tenant, version from items where id = ${id}`
  if (trouble.dieAt === 'fill') die()
  if (trouble.delayMs) await sleep(random(trouble.delayMs))
  return row
}
const item = cache.define('item', load)
const items = views.map((view) => view.in(item))
const rehearsals = new Rehearsals(cache, items, () => trouble)
/** How often a view was replaced, where a scenario does so: read of some of its rows, and judged as one. */
const mark = cache.define('mark', ({ sql }, id) => sql.one`select mark from marked where id = ${id}`)
const MARKED = 10
const SESSION_ONE_IN = 6

let rate = 0
let owed = 0
let reads = []
/** Reads that failed, `[start, code, end]`. */
let errors = []
let session = new Session()
/** Of reads: how many, those during which a loader ran more than twice here, and the most. */
const repeats = { reads: 0, more: 0, most: 0 }

cache.on('started', ({ emptied }) => process.send({ kind: 'started', at: now(), emptied }))
cache.on('lost', ({ reason }) => process.send({ kind: 'lost', at: now(), code: reason.code }))

function die() {
  process.kill(process.pid, 'SIGKILL')
}

async function readMark() {
  const start = now()
  const { value, state, from } = await mark.ask(random(MARKED))
  reads.push(['marked', Number(value?.mark ?? -1), start, state, from, now()])
}

async function readOne(id = random(trouble.hotKeys ?? keys)) {
  if (marks && random(10) === 0) return readMark().catch((error) => errors.push([now(), error.code, now()]))
  const start = now()
  const loaded = loads[id]
  try {
    const { value, state, from } = await items[id % tenants].ask(id)
    countRepeats(loads[id] - loaded)
    if (value !== undefined && value.tenant !== `tenant${id % tenants}`) process.send({ kind: 'crossed', id, value })
    reads.push([id, Number(value?.version ?? -1), start, state, from, now()])
  } catch (error) {
    errors.push([start, error.code ?? error.name, now()])
  }
}

function countRepeats(runs) {
  repeats.reads++
  if (runs > 2) repeats.more++
  repeats.most = Math.max(repeats.most, runs)
}

setInterval(() => {
  owed += (rate * TICK_MS) / 1_000
  for (; owed >= 1; owed--) {
    if (redis && random(SESSION_ONE_IN) === 0)
      void session.read((id) => items[id % tenants].with(session.asked).ask(id))
    else void readOne()
  }
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
    counters: cache.counters,
    ...(l2 && { l2: l2.status() }),
  })
  if (redis) process.send({ kind: 'session', ...session.report() })
  if (reads.length === 0 && errors.length === 0) return
  process.send({ kind: 'reads', reads, errors })
  reads = []
  errors = []
}, REPORT_MS)

/** What each key is answered with now, `[key, version]`, and where the answers came from. */
async function readAll() {
  const answers = []
  const froms = {}
  let next = 0
  const reader = async () => {
    while (next < keys) {
      const key = next++
      const { value, from } = await items[key % tenants].ask(key)
      answers.push([key, Number(value?.version ?? -1)])
      froms[from] = (froms[from] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: READ_ALL_AT_ONCE }, reader))
  return { answers, froms }
}

const answers = {
  read: (wanted) => {
    rate = wanted.rate
  },
  trouble: (wanted) => {
    trouble = wanted.trouble
  },
  session: (wanted) => {
    session = new Session(wanted.session)
  },
  settle: () => cache.settled(),
  readAll,
  /** Whether L2 says where the log stands. */
  tide: async () => ({ isKnown: (await l2.read('none')).tide !== undefined }),
  loads: () => ({ loads: [...loads] }),
  repeats: () => repeats,
  hot: async (wanted) => {
    const judged = await rehearsals.hot(wanted)
    reads.push(...judged.sample)
    return { count: judged.count }
  },
  crowd: (wanted) => rehearsals.crowd(wanted),
  async entry({ text }) {
    const answer = await cache
      .ask(text, ({ sql }) => sql.query(text).then(({ rows }) => rows))
      .catch(({ code }) => ({ from: code }))
    return { from: answer.from }
  },
  kept() {
    const kept = []
    for (let key = 0; key < keys; key++) {
      const value = items[key % tenants].peek(key)
      if (value !== undefined) kept.push([key, Number(value?.version ?? -1)])
    }
    return { kept, counters: cache.counters }
  },
  async stop() {
    await cache.close()
    process.exit(0)
  },
}

process.on('message', async ({ do: what, id, ...wanted }) => {
  const answer = await Promise.resolve(answers[what](wanted)).catch((error) => ({ error: String(error.stack) }))
  if (id !== undefined) process.send({ kind: 'answer', id, ...answer })
})
process.on('disconnect', () => process.exit(0))
process.send({ kind: 'ready' })
