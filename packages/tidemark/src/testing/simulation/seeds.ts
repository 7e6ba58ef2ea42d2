import { type Outcome, report, simulate } from './run.js'

/** What a run of the simulation was asked to do, from the environment: how many seeds, or the only one. */
export interface Seeds {
  /** SIM_SEEDS, default 2,000. */
  readonly count: number
  /** SIM_SEED: this seed alone. */
  readonly only: number | undefined
}

/** What came of many seeds, together. */
export interface Sum {
  readonly seeds: number
  readonly seconds: number
  readonly answers: Outcome['answers']
  readonly kept: number
  readonly sets: number
  readonly evicted: number
  readonly gaps: number
  readonly markedStarts: number
  readonly l2Hits: number
  readonly l2Disbelieved: number
}

export function seedsOf(environment: Readonly<Record<string, string | undefined>>): Seeds {
  const { SIM_SEEDS: count, SIM_SEED: only } = environment
  return { count: wholeOf('SIM_SEEDS', count) ?? 2_000, only: wholeOf('SIM_SEED', only) }
}

/**
 * Runs every `stride`-th seed from `first` up to `count`.
 *
 * @throws Error with the seed, what happened step by step and the line that runs it again, at the first violation
 */
export async function simulateAll({ count, only }: Seeds, first: number, stride: number): Promise<Sum> {
  const began = performance.now()
  const answers = { fresh: 0, stale: 0, fenced: 0, failed: 0, peeked: 0, watched: 0 }
  const sum = { seeds: 0, kept: 0, sets: 0, evicted: 0, gaps: 0, markedStarts: 0, l2Hits: 0, l2Disbelieved: 0 }
  for (let seed = only ?? first; seed <= (only ?? count); seed += stride) {
    const outcome = await simulate(seed)
    if (outcome.violation !== undefined) throw new Error(await report(seed))
    sum.seeds++
    for (const name of ['kept', 'sets', 'evicted', 'gaps', 'markedStarts', 'l2Hits', 'l2Disbelieved'] as const)
      sum[name] += outcome[name]
    for (const state of Object.keys(answers) as (keyof typeof answers)[]) answers[state] += outcome.answers[state]
  }
  return { ...sum, answers, seconds: (performance.now() - began) / 1_000 }
}

function wholeOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${name} must be a whole number of at least 1.`)
  return number
}
