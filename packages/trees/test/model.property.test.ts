import { readFile, rename, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Figures, noTotals, runTogether, type Totals, WAIT_MS } from './model-run.js'
import { type Process, World } from './opened.js'

/*
 * Random edits of random configs, beside a model on plain objects. After each, the entries that are gone are exactly those whose value or
 * existence changed, or that were declared to go along; and what is read is what the model says. A seed is printed when it fails:
 * `npm run check:trees -- --seed 7` runs it again, and `--seeds 5000` as many. `TREE_FIGURES` names a file for the figures: where it
 * has some, the run goes on from there.
 */
const FIRST = Number(process.env['TREE_SEED'] ?? 1)
const SEEDS = Number(process.env['TREE_SEEDS'] ?? (process.env['TREE_SEED'] === undefined ? 40 : 1))
const FILE = process.env['TREE_FIGURES']
/** Seeds that run side by side. */
const TOGETHER = 10

const NAMES = {
  alone: 'configs by themselves',
  related: 'configs that inherit and refer',
  extended: 'the same, when one is made to inherit from another one',
}

let world: World
let process1: Process
let process2: Process

beforeAll(async () => {
  world = await World.create()
  process1 = await world.open({ hardTimeout: WAIT_MS })
  process2 = await world.open({ hardTimeout: WAIT_MS })
})
afterAll(() => world?.drop())

// First: that the tables were made is a change of definitions, and drops once more what is kept, up to a second later.
it('what an edit invalidates, and what is read then, is what the model says in a process that did not make it', async () => {
  const totals = noTotals()
  await runTogether(range(FIRST + 1_000_000, Math.min(SEEDS, 4)), totals, process1, process2)
  check(totals)
}, 180_000)

it(
  `what an edit invalidates, and what is read then, is what the model says (${SEEDS} seeds)`,
  async () => {
    const { seeds, kinds } = await counted()
    for (let from = FIRST + seeds; from < FIRST + SEEDS; from += TOGETHER) {
      const count = Math.min(TOGETHER, FIRST + SEEDS - from)
      await runTogether(range(from, count), kinds, process1)
      await keep(from + count - FIRST, kinds)
      if (from > FIRST && (from - FIRST) % 500 === 0)
        console.log(`${from - FIRST} seeds: ${told(NAMES.related, kinds.related)}`)
    }
    check(kinds)
  },
  (SEEDS * WAIT_MS) / 10 + 60_000,
)

it('the same where tenants have tables of their own, and beside them', async () => {
  const seeds = range(FIRST + 2_000_000, Math.min(SEEDS, 6))
  const other = await World.create()
  try {
    const ownTables = seeds.filter((seed) => seed % 3 !== 0).map((seed) => `S${seed}`)
    const processes = [
      await other.open({ hardTimeout: WAIT_MS, ownTables }),
      await other.open({ hardTimeout: WAIT_MS }),
    ]
    const totals = noTotals()
    await runTogether(seeds, totals, processes[0]!, processes[1])
    check(totals)
  } finally {
    await other.drop()
  }
}, 240_000)

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

interface Counted {
  readonly seeds: number
  readonly kinds: Totals
}

/** What a run counted that was ended early: this one goes on from there. */
async function counted(): Promise<Counted> {
  const none = { seeds: 0, kinds: noTotals() }
  if (FILE === undefined) return none
  const text = await readFile(FILE, 'utf8').catch(() => undefined)
  if (text === undefined) return none
  return JSON.parse(text, (name, value) => (name === 'needless' ? new Map(Object.entries(value)) : value)) as Counted
}

/** After each group. In place of what was there at once: a run may be killed at any moment. */
async function keep(seeds: number, kinds: Totals): Promise<void> {
  if (FILE === undefined) return
  const text = JSON.stringify({ seeds, kinds }, (_, value) =>
    value instanceof Map ? Object.fromEntries(value) : value,
  )
  await writeFile(`${FILE}.next`, text)
  await rename(`${FILE}.next`, FILE)
}

function check(totals: Totals): void {
  for (const kind of ['alone', 'related', 'extended'] as const) console.log(told(NAMES[kind], totals[kind]))
  const all = Object.values(totals)
  for (const { expected, both } of all) expect(both).toBe(expected)
  const [gone, both] = [all.reduce((sum, each) => sum + each.gone, 0), all.reduce((sum, each) => sum + each.both, 0)]
  // A few seeds have too few views for a share. Whoever asked for figures adds up those of several processes.
  if (gone > 1_000 && FILE === undefined) expect(both / gone).toBeGreaterThanOrEqual(0.99)
}

function told(what: string, { compared, gone, expected, both, stayed, edits, refused, needless }: Figures): string {
  const share = (of: number) => (of === 0 ? '-' : (both / of).toFixed(4))
  const causes = [...needless]
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([cause, { count }]) => `\n  ${count} gone needlessly: ${cause}`)
  return `${what}: recall ${share(expected)}, precision ${share(gone)}; of ${compared} entries after ${edits} edits (${refused} refused) ${expected} had to go, ${gone} went, ${stayed} stayed${causes.join('')}`
}
