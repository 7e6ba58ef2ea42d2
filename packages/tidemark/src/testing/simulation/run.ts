import { Chance } from './chance.js'
import { begin, finish } from './finish.js'
import { Nature } from './nature.js'
import { quiet, turns } from './quiet.js'
import type { Step } from './step.js'
import { isCalm, STEPS } from './steps.js'
import { World } from './world.js'

/** What came of one seed. */
export interface Outcome {
  readonly seed: number
  readonly steps: number
  readonly violation: string | undefined
  readonly trace: readonly string[]
  readonly answers: World['answers']
  readonly kept: number
  readonly sets: number
  readonly evicted: number
  readonly gaps: number
  /** How often a restarted server's log was taken up at a mark. */
  readonly markedStarts: number
  readonly l2Hits: number
  readonly l2Disbelieved: number
}

/**
 * Runs one seed: the real cache beside a source, a log and clocks whose every step is drawn; then everything heals, and all reads must
 * end with the truth. Ends at the first violation.
 *
 * @param isTraced  whether to write down what happened; the same seed happens the same way either way
 */
export async function simulate(seed: number, isTraced = false): Promise<Outcome> {
  const nature = new Nature(seed, isTraced)
  const { chance, faults } = nature
  const worlds = Array.from(
    { length: faults.processes },
    (_, i) => new World(nature, faults.processes > 1 ? `process ${i + 1}: ` : ''),
  )
  const weights = drawWeights(new Chance(seed + WEIGHTS))
  if (faults.isInUse) await begin(worlds)
  let steps = 0
  for (; steps < faults.steps && !nature.violation; steps++) {
    const world = chance.of(worlds)
    const next = drawStep(world, weights)
    if (isCalm(next)) await quiet()
    if (!next.isEnabled(world)) continue
    world.note(() => next.name)
    await next.run(world)
    // Mostly the process does all that it can before the next step; now and then only a part of it.
    if (chance.is(0.85)) await quiet()
    else await turns(chance.below(6))
    for (const each of worlds) each.inspect()
    if (faults.hasL2) nature.inspectL2()
  }
  if (!nature.violation) await finish(worlds)
  const sum = (of: (world: World) => number): number => worlds.reduce((total, each) => total + of(each), 0)
  const states = Object.keys(worlds[0]!.answers) as (keyof World['answers'])[]
  return {
    seed,
    steps,
    violation: nature.violation?.message,
    trace: nature.trace ?? [],
    answers: Object.fromEntries(
      states.map((state) => [state, sum(({ answers }) => answers[state])]),
    ) as World['answers'],
    sets: sum(({ sets }) => sets),
    kept: sum(({ core }) => core.counters.kept),
    evicted: sum(({ core }) => core.counters.evicted),
    gaps: sum(({ core }) => core.counters.gaps),
    markedStarts: sum(({ log }) => log.markedStarts),
    l2Hits: sum(({ core }) => core.counters.l2Hits),
    l2Disbelieved: sum(({ core }) => core.counters.l2Disbelieved),
  }
}

/** A seed's steps and what went wrong, for people, with the line that runs it again. */
export async function report(seed: number): Promise<string> {
  const { trace, violation } = await simulate(seed, true)
  return `seed ${seed}: ${violation}\n${trace.join('\n')}\n\nSIM_SEED=${seed} npx vitest run packages/tidemark/src/testing/simulation`
}

/** Drawn apart, so that one more step leaves the seeds in which it cannot happen as they are. */
const WEIGHTS = 2 ** 29

/** Each run has its own mix: what is rare in one is common in another. */
function drawWeights(chance: Chance): Map<Step, number> {
  return new Map(STEPS.map((step) => [step, step.weight * chance.of([0.3, 1, 1, 1, 3])]))
}

function drawStep(world: World, weights: ReadonlyMap<Step, number>): Step {
  let total = 0
  const enabled: Step[] = []
  for (const step of STEPS) {
    if (!step.isEnabled(world)) continue
    enabled.push(step)
    total += weights.get(step)!
  }
  let drawn = world.chance.real() * total
  for (const step of enabled) {
    drawn -= weights.get(step)!
    if (drawn < 0) return step
  }
  return enabled.at(-1)!
}
