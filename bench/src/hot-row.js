// Reads of a row that changes all the time: `node hot-row.js <url> <seconds> <readers>`. Prints {"changes": per second,
// "reads": per second, "loads": loader runs per read that did not hit, "most": in one such read (known with one reader),
// "p50", "p99": ms of those reads, "fenced": their share}.

import { postgres } from '@tidemark/postgres'
import pg from 'pg'
import { createCache } from 'tidemark'
import { quantile } from './measure.js'

const CHANGES_PER_SECOND = 4_000
const [url, seconds, readers] = process.argv.slice(2)
const cache = createCache({ source: postgres({ url, publication: 'bench_hot' }) })
const post = cache.define('post', ({ sql }, id) => sql.one`select * from posts where id = ${id}`)
const start = performance.now()
while (post.peek(1) === undefined) {
  if (performance.now() - start > 60_000) throw new Error('Nothing was kept within 60 s.')
  await post(1)
  await new Promise((resolve) => setTimeout(resolve, 10))
}

const writer = new pg.Client({ connectionString: url })
await writer.connect()
// Inside the server, so that no client's speed bounds it; each update is a transaction of its own.
const writing = writer.query(`do $$
  declare
    begun timestamptz := clock_timestamp();
    written int := 0;
    passed float8 := 0;
  begin
    while passed < ${Number(seconds)} loop
      while written < passed * ${CHANGES_PER_SECOND} loop
        update posts set upvotes = upvotes + 1 where id = 1;
        commit;
        written := written + 1;
      end loop;
      perform pg_sleep(0.0005);
      passed := extract(epoch from clock_timestamp() - begun);
    end loop;
  end $$`)
let isWriting = true
const written = writing.finally(() => {
  isWriting = false
})

const before = { ...cache.counters }
const begin = performance.now()
const times = []
let reads = 0
let fenced = 0
let most = 0
async function read() {
  while (isWriting) {
    const asked = performance.now()
    const loadsBefore = cache.counters.loads
    const { state, from } = await post.ask(1)
    reads++
    if (from !== 'l1') {
      times.push(performance.now() - asked)
      most = Math.max(most, cache.counters.loads - loadsBefore)
      if (state === 'fenced') fenced++
    }
    // A hit takes no turn of the event loop, which the log needs.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
await Promise.all([written, ...Array.from({ length: Number(readers) }, read)])
const passed = (performance.now() - begin) / 1000
const { commits, loads } = cache.counters
console.log(
  JSON.stringify({
    changes: (commits - before.commits) / passed,
    reads: reads / passed,
    loads: (loads - before.loads) / times.length,
    most,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    fenced: fenced / times.length,
  }),
)
process.exit()
