// `npm run check:trees`: random edits of config trees beside a model; see docs/trees.md. `-- --seeds 5000` runs as many seeds, `-- --seed 7`
// begins with that one (alone, where nothing is said of how many); `-- --processes 2` runs a part of them in each of as many processes;
// `-- --resume folder` keeps there what is counted, and goes on where a run of the same seeds was ended.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build, checkNode, exitOf, install, main, root, ScriptError } from './workspace.mjs'

const DEFAULT_SEEDS = 40
/** Of all views that go; a few seeds have too few for a share. */
const [PRECISION_MIN, JUDGED_FROM] = [0.99, 1_000]

main(async () => {
  checkNode()
  const option = { type: 'string' }
  const { values } = parseArgs({ options: { seed: option, seeds: option, processes: option, resume: option } })
  for (const name of ['seed', 'seeds', 'processes'])
    if (values[name] !== undefined && !/^[1-9]\d{0,8}$/.test(values[name]))
      throw new ScriptError(`--${name} takes a number from 1 on.`)
  const first = Number(values.seed ?? 1)
  const seeds = Number(values.seeds ?? (values.seed === undefined ? DEFAULT_SEEDS : 1))
  const processes = Math.min(Number(values.processes ?? 1), seeds)
  await install()
  await build()
  const folder = values.resume === undefined ? await temporary() : await resumed(values.resume, first, seeds, processes)
  try {
    const begun = Date.now()
    const parts = Array.from({ length: processes }, (_, part) => {
      const [from, to] = [part, part + 1].map((at) => first + Math.floor((at * seeds) / processes))
      return { from, count: to - from, file: join(folder, `${part}.json`) }
    })
    const codes = await Promise.all(parts.map(runPart))
    const figures = await Promise.all(parts.map(({ file }) => readFile(file, 'utf8').then(JSON.parse, () => undefined)))
    const counted = totals(figures.filter(Boolean))
    for (const line of summary(counted)) console.log(line)
    const seconds = Math.round((Date.now() - begun) / 1000)
    console.log(
      `Seeds ${first} to ${first + seeds - 1}, ${seconds} s, ${processes} process${processes === 1 ? '' : 'es'}.`,
    )
    if (codes.some((code) => code !== 0)) throw new ScriptError('A seed failed: see above.')
    const { gone, both } = counted.all
    if (gone > JUDGED_FROM && both / gone < PRECISION_MIN)
      throw new ScriptError(`Precision is too low: ${PRECISION_MIN} of all views that go is the least.`)
  } finally {
    if (values.resume === undefined) await rm(folder, { recursive: true, force: true })
  }
})

function temporary() {
  return mkdtemp(join(tmpdir(), 'tidemark-trees-'))
}

/** @throws ScriptError if the folder has counted other seeds */
async function resumed(name, ...run) {
  const folder = resolve(name)
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'run.json')
  const before = await readFile(file, 'utf8').catch(() => undefined)
  if (before !== undefined && before !== JSON.stringify(run))
    throw new ScriptError(`${name} has the figures of another run: of other seeds, or in another number of processes.`)
  await writeFile(file, JSON.stringify(run))
  return folder
}

function runPart({ from, count, file }) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  // A bound on waits is no test of speed: a machine may do other things too.
  const waits = { TREE_WAIT_MS: '300000', ...process.env }
  const env = { ...waits, TREE_SEED: String(from), TREE_SEEDS: String(count), TREE_FIGURES: file }
  return exitOf(process.execPath, [vitest, 'run', 'packages/trees/test/model.property'], { env })
}

/** What all processes counted, also one that failed: by kind of config, and of all. */
function totals(parts) {
  const none = { compared: 0, gone: 0, expected: 0, both: 0, stayed: 0, edits: 0, refused: 0, needless: {} }
  const kinds = {}
  for (const part of parts)
    for (const [kind, figures] of Object.entries(part.kinds)) kinds[kind] = sum(kinds[kind] ?? none, figures)
  return {
    seeds: parts.reduce((count, { seeds }) => count + seeds, 0),
    kinds,
    all: Object.values(kinds).reduce(sum, none),
  }
}

function summary({ seeds, kinds, all }) {
  const lines = [...Object.entries(kinds), ['all', all]].map(
    ([kind, { compared, gone, expected, both, stayed, edits }]) => {
      const share = (of) => (of === 0 ? '-' : (both / of).toFixed(4))
      return `  ${kind}: recall ${share(expected)}, precision ${share(gone)} (${both} of ${gone}); of ${compared} entries after ${edits} edits ${expected} had to go, ${gone} went, ${stayed} were loaded again and stayed`
    },
  )
  const causes = Object.entries(all.needless).sort(([, a], [, b]) => b.count - a.count)
  const needless = causes.flatMap(([cause, { count, example }]) => [`  ${count}: ${cause}`, `     ${example}`])
  return [
    `${seeds} seeds:`,
    ...lines,
    ...(needless.length > 0 ? ['Gone needlessly, each with an example:', ...needless] : []),
  ]
}

function sum(one, other) {
  return Object.fromEntries(
    Object.entries(one).map(([name, value]) => [
      name,
      name === 'needless' ? joined(value, other.needless) : value + other[name],
    ]),
  )
}

function joined(one, other) {
  const causes = { ...one }
  for (const [cause, { count, example }] of Object.entries(other))
    causes[cause] = { count: count + (causes[cause]?.count ?? 0), example: causes[cause]?.example ?? example }
  return causes
}
