// The cost of one row change that touches one entry among `entries`: `node shapes.js <entries> <shapes> <passes>`. The entries are spread
// over so many shapes of one table, each of two columns; with 0 shapes each has a range of its own, all of one column. Prints
// {"ns": median of the passes}.
import { createCache } from 'tidemark'
import { median } from './measure.js'
import { BenchSource } from './source.js'
import { fill, shuffled } from './workload.js'

const [entries, shapes, passes] = process.argv.slice(2).map(Number)
const TABLE = 'public.measures'
const COLUMNS = Array.from({ length: 46 }, (_, i) => `c${String(i).padStart(2, '0')}`)
const pairs = COLUMNS.flatMap((first, i) => COLUMNS.slice(i + 1).map((second) => [first, second])).slice(0, shapes)
const nothing = Object.fromEntries(COLUMNS.map((column) => [column, 'x']))

function dependencyOf(id) {
  const base = { kind: 'rows', table: TABLE, old: 'coarse' }
  if (shapes > 0) {
    const value = String(Math.floor(id / shapes))
    return { ...base, columns: pairs[id % shapes], values: [value, value] }
  }
  const [from, to] = [id * 10, id * 10 + 10].map(String)
  const ends = { from: { value: from, isIncluded: true }, to: { value: to, isIncluded: false } }
  return { ...base, columns: [], values: [], range: { column: 'c00', order: 'number', ...ends } }
}

/** A row that the entry's dependency holds, and no other's. */
function rowOf(id) {
  if (shapes === 0) return { c00: String(id * 10 + 5), c01: 'x' }
  const [first, second] = pairs[id % shapes]
  const value = String(Math.floor(id / shapes))
  return { ...nothing, [first]: value, [second]: value }
}

const source = new BenchSource()
// To fill it takes longer than a process may be silent.
const cache = createCache({
  source,
  maxSilence: '1h',
  l1: { maxEntries: entries, maxBytes: Number.POSITIVE_INFINITY },
})
await cache.settled()
const entry = cache.define('entry', ({ depend }, id) => {
  depend(dependencyOf(id))
  return { id }
})
await fill(entries, entry)
if (cache.status().entries !== entries) throw new Error('Not all entries were kept.')

const changes = Math.min(500, entries)
const ids = shuffled(entries)
let at = 0
const figures = []
for (let pass = 0; pass <= passes; pass++) {
  const batch = Array.from({ length: changes }, () => ids[at++ % entries])
  // An update that changes nothing would touch nothing.
  const images = batch.map((id) => [
    { ...rowOf(id), version: '0' },
    { ...rowOf(id), version: '1' },
  ])
  const invalidated = cache.counters.invalidated
  const begin = performance.now()
  for (const [before, after] of images) source.update(TABLE, before, after)
  const ns = ((performance.now() - begin) / changes) * 1e6
  if (cache.counters.invalidated - invalidated !== changes)
    throw new Error('The changes did not touch what they should.')
  if (pass > 0) figures.push(ns)
  await cache.settled()
  for (const id of batch) await entry(id)
}
console.log(JSON.stringify({ ns: median(figures) }))
process.exit()
