// From a commit's own time until it is seen, under a rate of commits: `node rate.js raw|l1 <url> <commits/s> <seconds>`; with 0 commits/s
// as many as the server can make. The process reads 500 rows a second beside that; the first fifth of the time is its warm-up. Prints {"p50", "p99": ms, "rate": commits/s that were made, "first", "last": p50 of the first
// and the last fifth, ms}.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { followCached, followRaw } from './floor.js'
import { quantile } from './measure.js'

/** 500 reads a second, one at a time. */
const READ_MS = 2
const [kind, url, rate, seconds] = process.argv.slice(2)
const latencies = []
const seen = (committedAt) => latencies.push(performance.timeOrigin + performance.now() - committedAt)
let read
if (kind === 'raw') {
  await followRaw(url, 'bench_rate', seen)
  const pool = new pg.Pool({ connectionString: url })
  read = (id) => pool.query('select * from posts where id = $1', [id])
} else {
  const { post } = await followCached(url, 'bench_rate', ({ committedAt }) => seen(committedAt))
  read = post
}
for (let id = 1; id <= 1_000; id++) await read(id)
let next = 0
setInterval(() => void read((next++ % 1_000) + 1), READ_MS).unref()
latencies.length = 0
const path = fileURLToPath(new URL('rate-writer.js', import.meta.url))
const writer = spawn(process.execPath, [path, url, rate, seconds], { stdio: ['ignore', 'pipe', 'inherit'] })
let printed = ''
writer.stdout.setEncoding('utf8').on('data', (text) => {
  printed += text
})
const code = await new Promise((resolve) => writer.once('close', resolve))
if (code !== 0) throw new Error('The writer failed.')
const { commits, ms } = JSON.parse(printed)
const end = performance.now() + 60_000
while (latencies.length < commits) {
  if (performance.now() > end) throw new Error(`${latencies.length} of ${commits} commits were seen.`)
  await new Promise((resolve) => setTimeout(resolve, 10))
}
const fifth = Math.ceil(latencies.length / 5)
const warm = latencies.slice(fifth)
console.log(
  JSON.stringify({
    p50: quantile(warm, 0.5),
    p99: quantile(warm, 0.99),
    rate: (commits / ms) * 1_000,
    first: quantile(warm.slice(0, fifth), 0.5),
    last: quantile(warm.slice(-fifth), 0.5),
  }),
)
process.exit()
