import { randomChange } from './changes.js'
import { randomDefinition } from './definitions.js'
import type { Fragment } from './fragment.js'
import { type Link, linkedSelect, randomStory } from './linked.js'
import { Random } from './random.js'
import { firstRows, type Identities, randomSchema, type Schema, type Table } from './schema.js'
import { Writing } from './scope.js'
import { boundedSelect, wideSelect } from './select.js'
import { statement, type Write } from './writes.js'

/** `bounded`: equality, IN, ranges and joins by reference alone. `linked`: three tables and more in a row, a star or a circle. `wide`: everything else. */
export type QueryClass = 'bounded' | 'linked' | 'wide'

export interface Query {
  readonly fragment: Fragment
  readonly class: QueryClass
  readonly features: readonly string[]
  /** Of a linked one, what is joined. */
  readonly links?: readonly Link[]
}

export type Step =
  /** `client`: which of the connections beside the cache runs it. */
  | { readonly kind: 'write'; readonly client: number; readonly write: Write }
  /** Reads entries without waiting for them. */
  | { readonly kind: 'read'; readonly queries: readonly number[] }
  /** Waits until the cache has settled, and compares every entry, or only those of some queries. */
  | { readonly kind: 'check'; readonly round: Round; readonly only?: readonly number[] }

/** `single`: one transaction since the check before. `mixed`: several, and reads beside them. `definitions`: tables were changed. */
export type Round = 'single' | 'mixed' | 'definitions'

/** All that is decided before it runs: the same for the same seed. */
export interface World {
  readonly seed: number
  readonly identities: Identities
  /** Foreign keys hold between its tables. */
  readonly hasKeys: boolean
  /** What the source is told to follow at most; in most worlds nothing. */
  readonly limits: { readonly partnersMax?: number; readonly membersMax?: number }
  /** The tables as they are at first. */
  readonly tables: readonly Table[]
  readonly setup: readonly Write[]
  readonly queries: readonly Query[]
  readonly steps: readonly Step[]
}

export interface WorldSize {
  readonly queries: number
  readonly rounds: number
  /** The share of rounds that change definitions. */
  readonly definitions: number
}

export function randomWorld(seed: number, identities: Identities, size: WorldSize): World {
  const random = new Random(seed)
  // Drawn apart, so that worlds without are what they were before there were others.
  const hasKeys = new Random(seed * 31 + 7).chance(0.5)
  const limits = randomLimits(new Random(seed * 31 + 11))
  const schema = randomSchema(random, identities, hasKeys)
  const tables = [...schema.tables]
  const setup = [...schema.setup, ...schema.tables.map((table) => firstRows(random, table))]
  const queries = [...Array(size.queries)].map(() => randomQuery(random, schema))
  const steps: Step[] = []
  const linked = [...queries.keys()].filter((index) => queries[index]!.links)
  for (let round = 0; round < size.rounds; round++) {
    if (linked.length > 0 && random.chance(0.3)) {
      for (const writes of randomStory(random, schema, queries[random.pick(linked)]!.links!))
        steps.push(...together(random, writes), { kind: 'check', round: 'mixed', only: linked })
      steps.push({ kind: 'check', round: 'mixed' })
      continue
    }
    // Definitions change late, as many queries fail afterwards.
    const isLate = round >= size.rounds / 2
    const kind =
      isLate && random.chance(size.definitions * 2) ? 'definitions' : random.chance(0.75) ? 'single' : 'mixed'
    steps.push(...roundOf(random, schema, kind, size.queries), { kind: 'check', round: kind })
  }
  return { seed, identities, hasKeys, limits, tables, setup, queries, steps }
}

function randomQuery(random: Random, schema: Schema): Query {
  const writing = new Writing(random, schema)
  const of = random.weighted({ bounded: 2, wide: 2, linked: 1 })
  const made: Pick<Query, 'fragment' | 'links'> =
    of === 'linked'
      ? linkedSelect(writing)
      : { fragment: of === 'bounded' ? boundedSelect(writing) : wideSelect(writing) }
  return { ...made, class: of, features: [...writing.features] }
}

function randomLimits(random: Random): World['limits'] {
  return random.chance(0.25) ? { partnersMax: random.pick([1, 3, 6, 100]), membersMax: random.pick([2, 1_000]) } : {}
}

function roundOf(random: Random, schema: Schema, kind: Round, queries: number): Step[] {
  switch (kind) {
    case 'single':
      return transaction(random, schema, 0, random.chance(0.8) ? 1 : 2)
    case 'definitions':
      return [
        ...randomDefinition(random, schema).map(stepOf),
        ...(random.chance(0.5) ? transaction(random, schema, 0, 1) : []),
      ]
    case 'mixed': {
      const lines = [0, 1, 2].map((client) => [
        ...transaction(random, schema, client, 1 + random.below(2)),
        ...transaction(random, schema, client, 1),
      ])
      const steps: Step[] = []
      while (lines.some((line) => line.length > 0)) {
        if (random.chance(0.3)) steps.push({ kind: 'read', queries: [...Array(10)].map(() => random.below(queries)) })
        const line = random.pick(lines.filter((each) => each.length > 0))
        steps.push(line.shift()!)
      }
      return steps
    }
  }
}

function transaction(random: Random, schema: Schema, client: number, count: number): Step[] {
  const writes = [...Array(count)].flatMap(() => change(random, schema))
  if (writes.length === 1 && random.chance(0.7)) return writes.map((write) => ({ kind: 'write', client, write }))
  const end = random.chance(0.9) ? 'commit' : 'rollback'
  return [statement('begin'), ...writes, statement(end)].map((write) => ({ kind: 'write', client, write }))
}

function together(random: Random, writes: readonly Write[]): Step[] {
  const isOne = writes.length === 1 && random.chance(0.7)
  return isOne ? writes.map(stepOf) : [statement('begin'), ...writes, statement('commit')].map(stepOf)
}

function change(random: Random, schema: Schema): Write[] {
  const writes = [...randomChange(random, schema)]
  if (!random.chance(0.05)) return writes
  const undone = randomChange(random, schema)
  return [statement('savepoint s'), ...undone, statement('rollback to s'), ...writes]
}

function stepOf(write: Write): Step {
  return { kind: 'write', client: 0, write }
}
