// `npm run check:trees`: random edits of config trees beside a model; see docs/trees.md. `-- --seeds 5000` runs as many seeds, `-- --seed 7`
// begins with that one (alone, where nothing is said of how many); `-- --processes 2` runs a part of them in each of as many processes.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build, checkNode, exitOf, install, main, root, ScriptError } from './workspace.mjs'

const DEFAULT_SEEDS = 40

main(async () => {
  checkNode()
  const option = { type: 'string' }
  const { values } = parseArgs({ options: { seed: option, seeds: option, processes: option } })
  for (const [name, value] of Object.entries(values))
    if (!/^[1-9]\d{0,8}$/.test(value)) throw new ScriptError(`--${name} takes a number from 1 on.`)
  const first = Number(values.seed ?? 1)
  const seeds = Number(values.seeds ?? (values.seed === undefined ? DEFAULT_SEEDS : 1))
  const processes = Math.min(Number(values.processes ?? 1), seeds)
  await install()
  await build()
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-trees-'))
  try {
    const begun = Date.now()
    const parts = Array.from({ length: processes }, (_, part) => {
      const [from, to] = [part, part + 1].map((at) => first + Math.floor((at * seeds) / processes))
      return { from, count: to - from, file: join(folder, `${part}.json`) }
    })
    const codes = await Promise.all(parts.map(runPart))
    const figures = await Promise.all(parts.map(({ file }) => readFile(file, 'utf8').then(JSON.parse, () => undefined)))
    const seconds = Math.round((Date.now() - begun) / 1000)
    for (const line of summary(figures.filter(Boolean))) console.log(line)
    console.log(`From seed ${first} on, ${seconds} s, ${processes} process${processes === 1 ? '' : 'es'}.`)
    if (codes.some((code) => code !== 0)) throw new ScriptError('A seed failed, or precision is too low: see above.')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

function runPart({ from, count, file }) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  // A bound on waits is no test of speed: a machine may do other things too.
  const waits = { TREE_WAIT_MS: '300000', ...process.env }
  const env = { ...waits, TREE_SEED: String(from), TREE_SEEDS: String(count), TREE_FIGURES: file }
  return exitOf(process.execPath, [vitest, 'run', 'packages/trees/test/model.property'], { env })
}

/** What all processes counted, also one that failed, by kind of config, and of all. */
function summary(parts) {
  if (parts.length === 0) return []
  const seeds = parts.reduce((count, part) => count + part.seeds, 0)
  const sums = Object.keys(parts[0].kinds).map((kind) => [kind, parts.map(({ kinds }) => kinds[kind]).reduce(sum)])
  const lines = [...sums, ['all', sums.map(([, of]) => of).reduce(sum)]].map(
    ([kind, { compared, gone, expected, both, edits }]) => {
      const share = (of) => (of === 0 ? '-' : (both / of).toFixed(4))
      return `  ${kind}: recall ${share(expected)}, precision ${share(gone)}; of ${compared} entries after ${edits} edits ${expected} had to go, ${gone} went`
    },
  )
  return [`${seeds} seeds:`, ...lines]
}

function sum(one, other) {
  return Object.fromEntries(
    Object.entries(one).map(([name, value]) => [name, typeof value === 'number' ? value + other[name] : value]),
  )
}
