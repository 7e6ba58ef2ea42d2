// All benchmarks: `node main.js [--smoke] [part …]`. Prints the tables, and writes them to docs/benchmarks.md unless --smoke.
import { acrossParts } from './across-parts.js'
import { awaits, holders, peeks, stampedes } from './contenders.js'
import { withDatabase } from './database.js'
import { alternate, median, runAlone } from './measure.js'
import { describeMachine, Page } from './page.js'
import { treeParts } from './tree-parts.js'
import { scales } from './workload.js'

const isSmoke = process.argv.includes('--smoke')
const scaleName = isSmoke ? 'smoke' : 'full'
const scale = scales[scaleName]
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
// A short run finds out whether everything works; its figures say nothing.
const page = new Page({ hasGoals: !isSmoke })

const parts = {
  async peek() {
    const ns = await hits('peeks', peeks)
    const floor = ns.get('lru-cache get, ttl')
    page.table('A hit, synchronous', ['', 'ns', '× lru-cache with ttl'], rows(ns, floor, 0))
    const numberFloor = ns.get('lru-cache get, ttl, number keys')
    page.goal('`cache.peek` ≤ 1.5 × lru-cache get with ttl, string keys', ns.get('tidemark cache.peek') / floor, 1.5)
    page.goal('`post.peek(text)` ≤ 1.5 × the same', ns.get('tidemark post.peek, string argument') / floor, 1.5)
    page.goal(
      '`post.peek(42)` ≤ 1.5 × lru-cache get with ttl, number keys',
      ns.get('tidemark post.peek, 0 dependencies') / numberFloor,
      1.5,
    )
    const [none, five] = [0, 5].map((count) => ns.get(`tidemark post.peek, ${count} dependencies`))
    page.goal('a hit with 5 dependencies costs what one without costs', five / none, 1.15)
  },

  async awaited() {
    const ns = await hits('awaits', awaits)
    const own = ns.get('tidemark await post(id)')
    page.table('A hit, awaited', ['', 'ns', '× `await post(id)`'], rows(ns, own, 0))
    page.goal('`await post(id)` ≥ 10 × faster than bentocache get', ns.get('bentocache get') / own, 10, 'least')
    page.goal('`await post(id)` ≥ 3 × faster than cache-manager get', ns.get('cache-manager get') / own, 3, 'least')
    page.goal(
      '`cache.get` with a loader ≥ 3 × faster than cache-manager wrap',
      ns.get('cache-manager wrap') / ns.get('tidemark await cache.get'),
      3,
      'least',
    )
  },

  async memory() {
    const bytes = await alternate(
      Object.keys(holders),
      1,
      (name) => runAlone('memory.js', [name, scaleName], ['--expose-gc', '--max-old-space-size=6000']),
      (printed) => printed.bytes,
    )
    const title = `Memory of an entry among ${scale.memoryEntries.toLocaleString('en')}, beside its key and value`
    page.table(title, ['', 'bytes of heap and external memory'], rows(bytes, undefined, 0))
    page.goal(
      '≤ 100 B per entry with expiry, position and one tag of 1,000',
      bytes.get('tidemark, ttl, one tag of 1,000'),
      100,
    )
  },

  async change() {
    const ns = await alternate(
      scale.changeEntries.map((count) => count.toLocaleString('en')),
      scale.rounds,
      (name) => runAlone('change.js', [name.replaceAll(',', ''), scale.passes], ['--max-old-space-size=6000']),
      (printed) => printed.ns,
    )
    const figures = [...ns.values()]
    page.table(
      'A row change that touches two entries, applied',
      ['entries', 'ns', '× the first'],
      rows(ns, figures[0], 0),
    )
    const factor = scale.changeEntries.at(-1) / scale.changeEntries[0]
    page.goal(
      `a change among ${factor.toLocaleString('en')} times the entries costs what it costs among few`,
      figures.at(-1) / figures[0],
      1.5,
    )
  },

  async shapes() {
    const plain = (count) => count.toLocaleString('en')
    const most = scale.changeEntries.at(-1)
    const cases = [
      ...scale.changeEntries.map((entries) => [entries, scale.shapes[0]]),
      ...scale.shapes.slice(1).map((shapes) => [most, shapes]),
      ...scale.changeEntries.map((entries) => [entries, 0]),
    ]
    const nameOf = ([entries, shapes]) =>
      shapes === 0 ? `${plain(entries)} ranges of one column` : `${plain(entries)}, over ${plain(shapes)} shapes`
    const named = new Map(cases.map((each) => [nameOf(each), each]))
    const ns = await alternate(
      [...named.keys()],
      1,
      (name) => runAlone('shapes.js', [...named.get(name), scale.passes], ['--max-old-space-size=6000']),
      (printed) => printed.ns,
    )
    page.table('A row change that touches one entry, applied', ['entries of its table', 'ns'], rows(ns, undefined, 0))
    const of = (entries, shapes) => ns.get(nameOf([entries, shapes]))
    const [few] = scale.changeEntries
    const [low, high] = [scale.shapes[0], scale.shapes.at(-1)]
    page.goal(`${plain(low)} shapes: flat in entries`, of(most, low) / of(few, low), 1.5)
    page.goal(
      `${plain(most)} entries: at most linear in the shapes of the table`,
      of(most, high) / of(most, low) / (high / low),
      1,
    )
    page.goal(`ranges: ${plain(most / few)} times as many cost a few times as much`, of(most, 0) / of(few, 0), 4)
  },

  async patterns() {
    const entries = scale.changeEntries.at(-1)
    const count = entries.toLocaleString('en')
    const figures = await runAlone('patterns.js', [entries, scale.passes], ['--max-old-space-size=6000'])
    const line = (name, { asked, gone, held }) => [name, ...[asked, gone, held].map((ms) => ms.toFixed(1))]
    page.table(
      `Invalidating by pattern, one in a hundred of ${count} entries`,
      ['', 'ms until it holds', 'ms until the last is out of memory', 'ms that the event loop was held, at most'],
      [
        line('`g07:*`', figures.prefix),
        line('the same, when its order is built', figures.prefix.first),
        line('`*:t07`', figures.suffix),
        line('`{ regex: "r:\\d+:t07$" }`, which looks at every key', figures.infix),
        line('preview of `g07:*`', figures.preview),
        line('the whole tenant: all of them', figures.tenant),
      ],
    )
    page.goal(`a pattern that names 1 % of ${count} keys: ms until it holds`, figures.prefix.asked, 20)
    page.goal('the same, preview', figures.preview.asked, 20)
    page.goal(`a whole tenant of ${count} keys: ms that the event loop is held`, figures.tenant.held, 20)
  },

  http: () =>
    withDatabase({ isDurable: false }, async ({ url }) => {
      const entries = scale.changeEntries.at(-1)
      const count = entries.toLocaleString('en')
      const http = await runAlone('http.js', [url, entries, scale.rateSeconds], ['--max-old-space-size=6000'])
      page.table(
        'The HTTP API',
        ['', ''],
        [
          ['keys invalidated per second, 1,000 in a request', Math.round(http.keys).toLocaleString('en')],
          [`a pattern that names 1 % of ${count} keys: ms to the answer`, http.pattern.toFixed(1)],
          ['its preview: ms to the answer', http.preview.toFixed(1)],
          ["`GET /api/cache/:key`, a hit: µs of the server's processor time", http.get.toFixed(1)],
          ['a route of bare Fastify that sends the same', http.bare.toFixed(1)],
        ],
      )
      page.goal('keys invalidated per second over HTTP', http.keys, 100_000, 'least')
      page.goal(`HTTP: a pattern that names 1 % of ${count} keys, ms`, http.pattern, 20)
      page.goal('HTTP: its preview, ms', http.preview, 20)
      page.goal('HTTP: a hit, × a route of bare Fastify', http.get / http.bare, 1.15)
    }),

  async stampede() {
    const loads = await alternate(
      Object.keys(stampedes),
      1,
      (name) => runAlone('stampede.js', [name]),
      (printed) => printed.loads,
    )
    page.table('1,000 reads of a missing key at once', ['', 'loader runs'], rows(loads, undefined, 0))
    page.goal('1,000 concurrent misses: one loader run', loads.get('tidemark cache.get'), 1)
  },

  ...acrossParts({ page, scale }),
  ...treeParts({ page, scale }),

  commit: () =>
    withDatabase({ isDurable: true }, async ({ url, version }) => {
      const seen = await commits(url)
      const cells = ([name, { p50, p99 }]) => [
        name,
        p50.toFixed(2),
        p99.toFixed(2),
        (p50 / seen.get(RAW).p50).toFixed(2),
      ]
      page.table(
        'From sending an UPDATE to seeing it, one at a time',
        [`PostgreSQL ${version}; seen by`, 'p50 ms', 'p99 ms', 'p50 × the first'],
        [...seen].map(cells),
      )
      page.goal('commit → L1 p50 ≤ 1.5 × the raw pgoutput message', seen.get(L1).p50 / seen.get(RAW).p50, 1.5)
    }),

  rate: () =>
    withDatabase({ isDurable: false }, async ({ url, version }) => {
      const kinds = { [RAW]: 'raw', [L1]: 'l1' }
      const at = async (rate) => {
        const seen = new Map(Object.keys(kinds).map((name) => [name, []]))
        await alternate(
          Object.keys(kinds),
          Math.min(scale.rounds, 3),
          async (name) => seen.get(name).push(await runAlone('rate.js', [kinds[name], url, rate, scale.rateSeconds])),
          () => 0,
        )
        return new Map([...seen].map(([name, rounds]) => [name, medians(rounds)]))
      }
      const [paced, most] = [await at(2_000), await at(0)]
      const line = (figures) => (name) => {
        const { p50, p99, rate, first, last } = figures.get(name)
        return [name, rate.toFixed(0), ...[p50, p99, first, last].map((ms) => ms.toFixed(2))]
      }
      page.table(
        'From a commit to seeing it, under load',
        [`PostgreSQL ${version}; seen by`, 'commits/s', 'p50 ms', 'p99 ms', 'p50 of the first quarter', 'of the last'],
        [...Object.keys(kinds).map(line(paced)), ...Object.keys(kinds).map(line(most))],
      )
      const [raw, own] = [paced.get(RAW), paced.get(L1)]
      page.goal('2,000 commits/s: commit → L1 p50 ≤ 1.5 × the raw pgoutput message', own.p50 / raw.p50, 1.5)
      page.goal('2,000 commits/s: p99 ≤ 2 ×', own.p99 / raw.p99, 2)
      page.goal(
        'single-row commits as fast as they can be made: the lag of the last quarter ÷ that of the first',
        most.get(L1).last / most.get(L1).first,
        2,
      )
    }),

  bulk: () =>
    withDatabase({ isDurable: false }, async ({ url, version }) => {
      const kinds = { [RAW]: 'raw', 'a cache with 1,000 entries of the table': 'l1' }
      for (const [transactions, rows] of scale.bulk) {
        const each = `${transactions} transactions of ${rows.toLocaleString('en')} rows`
        const rates = await alternate(
          Object.keys(kinds),
          Math.min(scale.rounds, 3),
          (name) => runAlone('bulk.js', [kinds[name], url, transactions, rows]),
          (printed) => printed.rate,
        )
        const [raw, own] = [...rates.values()]
        page.table(
          `A backlog of ${each}`,
          [`PostgreSQL ${version}; followed by`, 'rows/s', '× the first'],
          [...rates].map(([name, rate]) => [name, rate.toFixed(0), (rate / raw).toFixed(2)]),
        )
        page.goal(`a backlog of ${each} ≥ 0.7 × raw decoding`, own / raw, 0.7, 'least')
      }
    }),

  journal: () =>
    withDatabase({ isDurable: true }, async ({ url, version }) => {
      const { rate } = await runAlone('journal.js', [url, scale.journalRecords])
      const count = scale.journalRecords.toLocaleString('en')
      page.table(
        `${count} requests into the journal`,
        [`PostgreSQL ${version}`, 'records/s'],
        [['chained, in ten tenants', rate.toFixed(0)]],
      )
      page.goal('the journal: records/s, sustained', rate, 10_000, 'least')
      await journalWaits(url, version)
    }),

  analyse: () =>
    withDatabase({ isDurable: false }, async ({ url }) => {
      const { fresh, trips, known } = await runAlone('analyse.js', [url, scale.analyseRounds])
      page.table(
        'The analysis of a statement',
        ['', ''],
        [
          ['a new text, our own time, ms', fresh.toFixed(2)],
          ['round trips for it', trips.toFixed(0)],
          ['a known text, ns', known.toFixed(0)],
        ],
      )
      page.goal('analysis of a new text, median ms', fresh, 1)
      page.goal('analysis of a known text, µs', known / 1_000, 5)
    }),

  fill: () =>
    withDatabase({ isDurable: false }, async ({ url }) => {
      const modes = { 'pg alone': 'bare', 'self-check off': 'off', sampled: 'sampled', 'each query': 'always' }
      const ms = await alternate(
        Object.keys(modes),
        Math.min(scale.rounds, 3),
        (name) => runAlone('fill.js', [modes[name], url]),
        (printed) => printed.ms,
      )
      page.table('A fill by one small query', ['', 'ms', '× the first'], rows(ms, ms.get('pg alone'), 3))
    }),

  hotrow: () =>
    withDatabase({ isDurable: false }, async ({ url }) => {
      const rows = []
      for (const readers of [1, 100]) {
        const hot = await runAlone('hot-row.js', [url, scale.hotSeconds, readers])
        const most = readers === 1 ? String(hot.most) : ''
        const whole = [readers, hot.changes, hot.reads].map((figure) => figure.toFixed(0))
        rows.push([
          ...whole,
          hot.loads.toFixed(2),
          most,
          hot.p50.toFixed(1),
          hot.p99.toFixed(1),
          `${(hot.fenced * 100).toFixed(1)} %`,
        ])
        if (readers === 1)
          page.goal(
            `a row that changes ${hot.changes.toFixed(0)} times a second: loads in one read, at most`,
            hot.most,
            2,
          )
      }
      const head = [
        'readers',
        'changes/s',
        'reads/s',
        'loads per miss',
        'most in one read',
        'p50 of a miss, ms',
        'p99',
        'fenced',
      ]
      page.table('Reads of a row that changes up to 4,000 times a second', head, rows)
    }),
}

/** Nothing waits for the journal, whether it can be written or not. */
async function journalWaits(url, version) {
  const modes = { 'without a journal': 'off', 'with one': 'on', 'while its database lets nobody in': 'stopped' }
  const p99 = new Map(Object.keys(modes).map((name) => [name, []]))
  const p50 = await alternate(
    Object.keys(modes),
    Math.min(scale.rounds, 5),
    async (name) => {
      const printed = await runAlone('journal-wait.js', [modes[name], url, scale.journalWaits])
      p99.get(name).push(printed.p99)
      return printed
    },
    (printed) => printed.p50,
  )
  const [off] = p50.keys()
  page.table(
    'An invalidation until it is answered, four at a time',
    [`PostgreSQL ${version}`, 'p50 ms', 'p99 ms', 'p50 × the first', 'p99 × the first'],
    [...p50].map(([name, ms]) => {
      const late = median(p99.get(name))
      const ratios = [ms / p50.get(off), late / median(p99.get(off))]
      return [name, ...[ms, late, ...ratios].map((figure) => figure.toFixed(2))]
    }),
  )
  for (const name of Object.keys(modes).slice(1))
    page.goal(`an invalidation ${name}: p50 ÷ that without a journal`, p50.get(name) / p50.get(off), 1.25)
}

const RAW = 'a bare pgoutput connection'
const L1 = 'L1: the entry is dropped'
const SSE = "the server's stream: the client has the new value"

async function commits(url) {
  const kinds = { [RAW]: 'raw', [L1]: 'l1', [SSE]: 'sse' }
  const p99 = new Map()
  const p50 = await alternate(
    Object.keys(kinds),
    Math.min(scale.rounds, 3),
    async (name) => {
      const printed = await runAlone('commit.js', [kinds[name], url, scale.commits])
      p99.set(name, Math.max(p99.get(name) ?? 0, printed.p99))
      return printed
    },
    (printed) => printed.p50,
  )
  return new Map([...p50].map(([name, ms]) => [name, { p50: ms, p99: p99.get(name) }]))
}

/** Of each figure the median of the rounds. */
function medians(rounds) {
  return Object.fromEntries(Object.keys(rounds[0]).map((name) => [name, median(rounds.map((round) => round[name]))]))
}

function hits(kind, contenders) {
  return alternate(
    Object.keys(contenders),
    scale.rounds,
    (name) => runAlone('hit.js', [kind, name, scaleName]),
    (printed) => printed.ns,
  )
}

function rows(figures, floor, digits) {
  return [...figures].map(([name, figure]) => [
    name,
    figure.toFixed(digits),
    ...(floor === undefined ? [] : [(figure / floor).toFixed(2)]),
  ])
}

const unknown = wanted.filter((name) => !(name in parts))
if (unknown.length > 0)
  throw new Error(`No such part: ${unknown.join(', ')}. There are ${Object.keys(parts).join(', ')}.`)
console.log(describeMachine())
for (const [name, run] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  await run()
  console.log(page.takeNews())
}
if (!isSmoke) page.write()
