import { randomChange } from './changes.js'
import { randomDefinition } from './definitions.js'
import type { Fragment } from './fragment.js'
import { Random } from './random.js'
import { firstRows, type Identities, randomSchema, type Schema, type Table } from './schema.js'
import { Writing } from './scope.js'
import { boundedSelect, wideSelect } from './select.js'
import { statement, type Write } from './writes.js'

/** `bounded`: equality, IN, ranges and joins by reference alone. `wide`: everything else. */
export type QueryClass = 'bounded' | 'wide'

export interface Query {
  readonly fragment: Fragment
  readonly class: QueryClass
  readonly features: readonly string[]
}

export type Step =
  /** `client`: which of the connections beside the cache runs it. */
  | { readonly kind: 'write'; readonly client: number; readonly write: Write }
  /** Reads entries without waiting for them. */
  | { readonly kind: 'read'; readonly queries: readonly number[] }
  /** Waits until the cache has settled, and compares every entry. */
  | { readonly kind: 'check'; readonly round: Round }

/** `single`: one transaction since the check before. `mixed`: several, and reads beside them. `definitions`: tables were changed. */
export type Round = 'single' | 'mixed' | 'definitions'

/** All that is decided before it runs: the same for the same seed. */
export interface World {
  readonly seed: number
  readonly identities: Identities
  /** Foreign keys hold between its tables. */
  readonly hasKeys: boolean
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
  const schema = randomSchema(random, identities, hasKeys)
  const tables = [...schema.tables]
  const setup = [...schema.setup, ...schema.tables.map((table) => firstRows(random, table))]
  const queries = [...Array(size.queries)].map(() => randomQuery(random, schema))
  const steps: Step[] = []
  for (let round = 0; round < size.rounds; round++) {
    // Definitions change late, as many queries fail afterwards.
    const isLate = round >= size.rounds / 2
    const kind =
      isLate && random.chance(size.definitions * 2) ? 'definitions' : random.chance(0.75) ? 'single' : 'mixed'
    steps.push(...roundOf(random, schema, kind, size.queries), { kind: 'check', round: kind })
  }
  return { seed, identities, hasKeys, tables, setup, queries, steps }
}

function randomQuery(random: Random, schema: Schema): Query {
  const writing = new Writing(random, schema)
  const isBounded = random.chance(0.5)
  const fragment = isBounded ? boundedSelect(writing) : wideSelect(writing)
  return { fragment, class: isBounded ? 'bounded' : 'wide', features: [...writing.features] }
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

function change(random: Random, schema: Schema): Write[] {
  const writes = [...randomChange(random, schema)]
  if (!random.chance(0.05)) return writes
  const undone = randomChange(random, schema)
  return [statement('savepoint s'), ...undone, statement('rollback to s'), ...writes]
}

function stepOf(write: Write): Step {
  return { kind: 'write', client: 0, write }
}
