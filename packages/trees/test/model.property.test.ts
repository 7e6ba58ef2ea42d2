import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Figures, noTotals, runTogether, WAIT_MS } from './model-run.js'
import { type Process, World } from './opened.js'

/*
 * Random edits of random configs, beside a model on plain objects. After each, the entries that are gone are exactly those whose value or
 * existence changed, or that were declared to go along; and what is read is what the model says. A seed is printed when it fails:
 * `npm run check:trees -- --seed 7` runs it again, and `--seeds 5000` as many. `TREE_FIGURES` names a file for the figures.
 */
const FIRST = Number(process.env['TREE_SEED'] ?? 1)
const SEEDS = Number(process.env['TREE_SEEDS'] ?? (process.env['TREE_SEED'] === undefined ? 40 : 1))
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
    const totals = noTotals()
    for (let from = FIRST; from < FIRST + SEEDS; from += TOGETHER) {
      await runTogether(range(from, Math.min(TOGETHER, FIRST + SEEDS - from)), totals, process1)
      await keep(from + TOGETHER - FIRST, totals)
      if (from > FIRST && (from - FIRST) % 500 === 0)
        console.log(`${from - FIRST} seeds: ${told(NAMES.related, totals.related)}`)
    }
    check(totals)
  },
  (SEEDS * WAIT_MS) / 10 + 60_000,
)

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

/** After each group: what a run counted that is ended early counts too. */
async function keep(seeds: number, totals: ReturnType<typeof noTotals>): Promise<void> {
  const file = process.env['TREE_FIGURES']
  if (file === undefined) return
  const figures = { seeds: Math.min(seeds, SEEDS), kinds: totals }
  await writeFile(
    file,
    JSON.stringify(figures, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value)),
  )
}

function check(totals: ReturnType<typeof noTotals>): void {
  for (const kind of ['alone', 'related', 'extended'] as const) console.log(told(NAMES[kind], totals[kind]))
  for (const { expected, both } of Object.values(totals)) expect(both).toBe(expected)
  const [gone, both] = [totals.alone.gone + totals.related.gone, totals.alone.both + totals.related.both]
  // A few seeds have too few views for a share.
  if (gone > 1_000) expect(both / gone).toBeGreaterThanOrEqual(0.99)
}

function told(what: string, { compared, gone, expected, both, edits, refused, needless }: Figures): string {
  const share = (of: number) => (of === 0 ? '-' : (both / of).toFixed(4))
  const causes = [...needless]
    .sort(([, a], [, b]) => b - a)
    .map(([cause, count]) => `\n  ${count} gone needlessly: ${cause}`)
  return `${what}: recall ${share(expected)}, precision ${share(gone)}; of ${compared} entries after ${edits} edits (${refused} refused) ${expected} had to go, ${gone} went${causes.join('')}`
}
