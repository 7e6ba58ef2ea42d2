// What a fill by one small query takes: `node fill.js bare|off|sampled|always <url>`; bare is the query alone, by pg. Prints {"ms": median}.
import pg from 'pg'
import { followCached } from './floor.js'
import { median } from './measure.js'

const [mode, url] = process.argv.slice(2)
let run
if (mode === 'bare') {
  const pool = new pg.Pool({ connectionString: url })
  run = (id) => pool.query('select * from posts where id = $1', [id])
} else {
  const { post } = await followCached(url, 'bench_fill', () => {}, { selfCheck: mode })
  run = (id) => post(id)
}
const figures = []
for (let id = 2; id <= 1_000; id++) {
  const begin = performance.now()
  await run(id)
  if (id > 200) figures.push(performance.now() - begin)
}
console.log(JSON.stringify({ ms: median(figures) }))
process.exit()
