import type { PostgresSource } from '@tidemark/postgres'
import { causeOf, isOfDefinitions, touchedBy } from './causes.js'
import { render } from './fragment.js'
import { BUGS, type Bug } from './plant.js'
import { type Drop, type Mismatch, type Observer, type Ran, runWorld } from './run.js'
import type { Identities } from './schema.js'
import { writeScript } from './script.js'
import type { CheckServer } from './server.js'
import { type Shrunk, shrink } from './shrink.js'
import { noteDrop, type Tally } from './tally.js'
import { randomWorld, type World, type WorldSize } from './world.js'

export interface CheckOptions {
  readonly server: CheckServer
  readonly identities: Identities
  readonly size: WorldSize
  readonly bug?: Bug
  /** The cache has a tier beside L1. */
  readonly hasL2?: boolean
  /** Where the scripts of mismatches go. */
  readonly folder: string
  readonly shrinkMs: number
}

export interface Found {
  readonly shrunk: Shrunk
  /** Runs the script that shows it. */
  readonly command: string
}

/** Checks one world, and makes what is wrong with it small. */
export async function checkWorld(seed: number, options: CheckOptions, tally: Tally): Promise<Found | undefined> {
  const { identities, size } = options
  const world = randomWorld(seed, identities, size)
  const { mismatch, refused, failedWrites, counters } = await run(world, options, observerOf(world, tally))
  tally.worlds++
  tally.queries += world.queries.length
  tally.refused += refused.length
  tally.failedWrites += failedWrites.length
  tally.fromL2 += counters.l2Hits
  tally.selfChecks += counters.selfChecks
  tally.selfCheckMismatches += counters.selfCheckMismatches
  for (const [reason, count] of Object.entries(counters.notKept))
    tally.notKept[reason] = (tally.notKept[reason] ?? 0) + count
  if (!mismatch) return undefined
  tally.mismatches++
  const shrunk = await shrink(world, mismatch, {
    run: async (smaller) => (await run(smaller, options, undefined, 2_500)).mismatch,
    maxMs: options.shrinkMs,
  })
  return { shrunk, command: writeScript(options.folder, `mismatch-${seed}`, shrunk) }
}

async function run(
  world: World,
  { server, bug, hasL2 = false }: CheckOptions,
  observer: Observer | undefined,
  definitionsMs?: number,
): Promise<Ran> {
  const database = await server.createDatabase()
  try {
    return await runWorld(world, database.url, {
      ...(observer && { observer }),
      hasL2,
      ...(bug && { plant: BUGS[bug] }),
      ...(definitionsMs !== undefined && { definitionsMs }),
    })
  } finally {
    await database.drop()
  }
}

function observerOf(world: World, tally: Tally): Observer {
  const verdicts = new Map<number, readonly string[]>()
  const verdictOf = async (query: number, source: PostgresSource): Promise<readonly string[]> => {
    const known = verdicts.get(query)
    if (known) return known
    const { text } = render(world.queries[query]!.fragment)
    const verdict = await source.describe(text).then(
      ({ verdict }) => verdict,
      () => [],
    )
    verdicts.set(query, verdict)
    return verdict
  }
  return {
    checked(_, kept, loaded) {
      tally.kept += kept
      tally.loaded += loaded
    },
    async dropped(drop, source) {
      if (Object.keys(world.limits).length > 0) return
      if (Object.keys(drop.changes).some(isOfDefinitions)) {
        tally.byDefinitions++
        return
      }
      const query = world.queries[drop.query]!
      const verdict = drop.isNeeded ? [] : await verdictOf(drop.query, source)
      const cause = drop.isNeeded ? undefined : causeOf(drop, query, world, verdict)
      noteDrop(tally, world, query.class, cause, () => exampleOf(world, drop, verdict))
    },
  }
}

function exampleOf(world: World, drop: Drop, verdict: readonly string[]): string {
  const tables = Object.keys(drop.changes).map((change) => change.slice(0, change.lastIndexOf(' ')))
  const { text, values } = render(world.queries[drop.query]!.fragment)
  return [
    `${text} ${JSON.stringify(values)}`,
    `by ${JSON.stringify(drop.changes)}: ${drop.writes.join('; ')}`,
    ...verdict,
    ...touchedBy(drop, tables)
      .slice(0, 4)
      .map((dependency) => JSON.stringify(dependency)),
  ].join('\n      ')
}

export function describeMismatch({ kind, expected, got }: Mismatch): string {
  return `${kind}\n  expected: ${expected.replaceAll('\n', ' ')}\n  got:      ${got.replaceAll('\n', ' ')}`
}
