// How long an invalidation takes until it is answered: `node journal-wait.js <off|on|stopped> <url> <count>`. Without a journal; with one in
// another database of the same server; and while that database lets nobody in. Four at a time. Prints {"p50": ms, "p99": ms}.
import { postgres } from '@tidemark/postgres'
import pg from 'pg'
import { createCache } from 'tidemark'
import { quantile } from './measure.js'

const [mode, url, count] = process.argv.slice(2)
const AT_ONCE = 4
const WARM = 50
const slot = `bench_journal_${mode}`
const journalUrl = new URL(url)
journalUrl.pathname = '/bench_journal'

const admin = new pg.Client({ connectionString: url })
await admin.connect()
await admin.query('drop database if exists bench_journal with (force)')
await admin.query('create database bench_journal')
const source = postgres({ url, slot, ...(mode === 'off' ? {} : { journal: { url: journalUrl.href } }) })
const cache = createCache({ source })
await reached(() => cache.status().keeping && cache.status().log.slot?.isHeld)
const invalidate = (i) => cache.invalidate({ keys: [`user:${i}`], by: { actor: 'bench', requestId: `request ${i}` } })
for (let i = 0; i < WARM; i++) await invalidate(i)
if (mode !== 'off') await reached(() => source.journal.status().state === 'writing')
if (mode === 'stopped') {
  await admin.query('alter database bench_journal with allow_connections false')
  await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'bench_journal'")
  await invalidate(0)
  await reached(() => source.journal.status().state === 'waiting')
}

const times = []
const sender = async () => {
  while (times.length < Number(count)) {
    const began = performance.now()
    await invalidate(times.length)
    times.push(performance.now() - began)
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, sender))
if (mode === 'on' && !(await source.journal.flush(AbortSignal.timeout(60_000))))
  throw new Error('The journal is behind.')

if (mode === 'stopped') await admin.query('alter database bench_journal with allow_connections true')
await cache.close()
// Else the server keeps its log for it.
await reached(async () => {
  const { rows } = await admin.query('select active from pg_replication_slots where slot_name = $1', [slot])
  return rows.every(({ active }) => !active)
})
await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [slot])
await admin.query('drop database bench_journal with (force)')
await admin.end()
console.log(JSON.stringify({ p50: quantile(times, 0.5), p99: quantile(times, 0.99) }))
process.exit()

async function reached(holds) {
  const end = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${mode}: ${JSON.stringify(source.journal?.status())}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
