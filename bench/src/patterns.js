// What a pattern costs among `entries`: `node patterns.js <entries> <passes>`. Each names one in a hundred. Prints as JSON, in ms of
// processor time, each the median of the passes: `asked` until invalidate() resolves, `gone` until the last entry is out of memory, `held`
// the longest that nothing else could run meanwhile. `first` is the pass that builds the index.
import { createCache } from 'tidemark'
import { median } from './measure.js'

const [entries, passes] = process.argv.slice(2).map(Number)
const GROUPS = 100
const cache = createCache({ l1: { maxEntries: entries, maxBytes: Number.POSITIVE_INFINITY } })
const load = () => 1
const options = Object.freeze({ static: true })
const group = (id) => String(id % GROUPS).padStart(2, '0')
const keyOf = (id) => `g${group(id)}:user:${id}:t${group(id)}`

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

const fill = async (ids) => {
  for (const id of ids) await cache.get(keyOf(id), load, options)
}
const ofGroup = function* (which) {
  for (let id = which; id < entries; id += GROUPS) yield id
}

/** Runs it, and looks after each turn of the event loop how long the turn took, until the entries are gone. */
async function measure(run) {
  let held = 0
  let last = cpu()
  let isOver = false
  const tick = () => {
    const now = cpu()
    held = Math.max(held, now - last)
    last = now
    if (!isOver) setImmediate(tick)
  }
  setImmediate(tick)
  await new Promise(setImmediate)
  last = cpu()
  held = 0
  const begin = cpu()
  await run()
  const asked = cpu() - begin
  while (cache.status().sweeping > 0) await new Promise(setImmediate)
  await new Promise(setImmediate)
  isOver = true
  return { asked, gone: cpu() - begin, held }
}

async function patterns(patternOf) {
  const figures = []
  for (let pass = 0; pass <= passes; pass++) {
    const before = cache.counters.invalidated
    figures.push(await measure(() => cache.invalidate({ pattern: patternOf(String(pass).padStart(2, '0')) })))
    if (cache.counters.invalidated - before !== entries / GROUPS) throw new Error('It did not touch what it should.')
    await fill(ofGroup(pass))
  }
  const [first, ...others] = figures
  return { first, ...medians(others) }
}

function medians(figures) {
  return Object.fromEntries(['asked', 'gone', 'held'].map((name) => [name, median(figures.map((each) => each[name]))]))
}

await fill(Array(entries).keys())
if (cache.status().entries !== entries) throw new Error('Not all entries were kept.')
const infix = await patterns((which) => ({ regex: `r:\\d+:t${which}$` }))
const prefix = await patterns((which) => `g${which}:*`)
const suffix = await patterns((which) => `*:t${which}`)
const figures = []
for (let pass = 0; pass <= passes; pass++)
  figures.push(await measure(() => cache.preview({ pattern: `g${String(pass).padStart(2, '0')}:*` })))
const preview = medians(figures.slice(1))
const tenant = await measure(() => cache.invalidate({ all: 'tenant' }))
console.log(JSON.stringify({ prefix, suffix, infix, preview, tenant }))
process.exit()
