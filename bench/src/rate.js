// From a commit's own time until it is seen, under a rate of commits: `node rate.js raw|l1 <url> <commits/s> <seconds>`; with 0 commits/s
// as many as the server can make. Prints {"p50", "p99": ms, "rate": commits/s that were made, "first", "last": p50 of the first
// and the last fifth, ms}.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { followCached, followRaw } from './floor.js'
import { quantile } from './measure.js'

const [kind, url, rate, seconds] = process.argv.slice(2)
const latencies = []
const seen = (committedAt) => latencies.push(performance.timeOrigin + performance.now() - committedAt)
if (kind === 'raw') await followRaw(url, 'bench_rate', seen)
else {
  const { post } = await followCached(url, 'bench_rate', ({ committedAt }) => seen(committedAt))
  // What is dropped is read again, as in a program that has readers.
  for (let id = 1; id <= 1_000; id++) await post(id)
  let next = 0
  setInterval(() => {
    for (let i = 0; i < 5; i++) void post((next++ % 1_000) + 1)
  }, 10).unref()
}
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
console.log(
  JSON.stringify({
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    rate: (commits / ms) * 1_000,
    first: quantile(latencies.slice(0, fifth), 0.5),
    last: quantile(latencies.slice(-fifth), 0.5),
  }),
)
process.exit()
