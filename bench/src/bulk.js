// How fast a backlog is followed: `node bulk.js raw|l1 <url> <transactions> <rows of each>`. They are written while this process stands still.
// Prints {"rate": rows/s from then until the last commit is seen, the median of five}.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { followCached, followRaw } from './floor.js'
import { median } from './measure.js'

const ROUNDS = 5
const [kind, url, transactions, rows] = process.argv.slice(2)
let commits = 0
const client = new pg.Client({ connectionString: url })
await client.connect()
// What earlier runs wrote would have to be read.
await client.query('truncate bulk')
await client.end()
if (kind === 'raw') await followRaw(url, 'bench_bulk', () => commits++)
else {
  const { cache } = await followCached(url, 'bench_bulk', ({ changes }) => {
    if (Object.keys(changes).some((change) => change.startsWith('public.bulk '))) commits++
  })
  // So that each row is looked up: entries of other rows of the table.
  const counter = cache.define('counter', ({ sql }, id) => sql.many`select * from bulk where id = ${id}`)
  for (let id = 1; id <= 1_000; id++) await counter(-id)
}
const path = fileURLToPath(new URL('bulk-writer.js', import.meta.url))

/** Writes a backlog, and follows it. Resolves with the rows in a second. */
async function round() {
  commits = 0
  const writer = spawnSync(process.execPath, [path, url, transactions, rows], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (writer.status !== 0) throw new Error('The writer failed.')
  const begin = performance.now()
  while (commits < Number(transactions)) {
    if (performance.now() - begin > 300_000) throw new Error(`${commits} of ${transactions} transactions were seen.`)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return (transactions * rows) / ((performance.now() - begin) / 1_000)
}

// The first one compiles.
await round()
const rates = []
for (let i = 0; i < ROUNDS; i++) rates.push(await round())
console.log(JSON.stringify({ rate: median(rates) }))
process.exit()
