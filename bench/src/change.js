// The cost of one row change, which touches two entries, among `entries`: `node change.js <entries> <passes>`. Prints
// {"ns": median of the passes}.
import { createCache } from 'tidemark'
import { median } from './measure.js'
import { BenchSource, rowsOf } from './source.js'
import { fill, shuffled } from './workload.js'

const [entries, passes] = process.argv.slice(2).map(Number)
const authors = entries / 10
const posts = entries - authors
const source = new BenchSource()
const cache = createCache({ source, l1: { maxEntries: entries, maxBytes: Number.POSITIVE_INFINITY } })
await cache.settled()
const post = cache.define('post', ({ depend }, id) => {
  depend(rowsOf('public.posts', 'id', id))
  return { id }
})
const feed = cache.define('feed', ({ depend }, author) => {
  depend({ ...rowsOf('public.posts', 'author_id', author), old: 'coarse' })
  return [author]
})
const authorOf = (id) => id % authors
await fill(posts, post)
await fill(authors, feed)
if (cache.status().entries !== entries) throw new Error('Not all entries were kept.')

const changes = Math.min(1000, authors)
const ids = shuffled(posts)
let at = 0
const figures = []
for (let pass = 0; pass <= passes; pass++) {
  // Posts of different authors, so that each change touches its post and its author's feed.
  const batch = new Map()
  while (batch.size < changes) {
    const id = ids[at++ % posts]
    batch.set(authorOf(id), id)
  }
  const images = [...batch.values()].map((id) => ({ id: String(id), author_id: String(authorOf(id)), title: 'before' }))
  const before = cache.counters.invalidated
  const begin = performance.now()
  for (const old of images) source.update('public.posts', old, { ...old, title: 'after' })
  const ns = ((performance.now() - begin) / changes) * 1e6
  if (cache.counters.invalidated - before !== 2 * changes)
    throw new Error('The changes did not touch what they should.')
  if (pass > 0) figures.push(ns)
  await cache.settled()
  for (const [author, id] of batch) await Promise.all([post(id), feed(author)])
}
console.log(JSON.stringify({ ns: median(figures) }))
process.exit()
