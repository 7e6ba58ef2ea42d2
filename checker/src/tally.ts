import type { Identities } from './schema.js'
import type { QueryClass, World } from './world.js'

/** What a run found, in plain numbers: of several processes they are added. */
export interface Tally {
  worlds: number
  /** Answers out of the cache's memory that were compared, and answers that were just loaded. */
  kept: number
  loaded: number
  mismatches: number
  refused: number
  queries: number
  failedWrites: number
  /** Answers that came from L2, where there was one. */
  fromL2: number
  /** Entries that a change of definitions dropped after its round: in none of the figures below. */
  byDefinitions: number
  /** Comparisons of an analysis with the tables that were really read; those that had missed one. */
  selfChecks: number
  selfCheckMismatches: number
  notKept: Record<string, number>
  /** `identities class` → entries dropped by one transaction, and those whose answer had not changed. */
  drops: Record<string, { dropped: number; needless: number }>
  /** The same by `identities class keys`: whether foreign keys hold between the tables, `keyed` or `loose`. */
  byKeys: Record<string, { dropped: number; needless: number }>
  /** `identities cause` → needless ones. */
  causes: Record<string, number>
  /** So many examples of each cause are kept: the shortest. */
  readonly examplesMax: number
  examples: Record<string, string[]>
}

export const CLASSES: Readonly<Record<QueryClass, string>> = {
  bounded: 'equality, IN, range, join',
  linked: 'three tables and more, linked',
  wide: 'everything else',
}

export function zeroTally(examplesMax = 0): Tally {
  return {
    worlds: 0,
    kept: 0,
    loaded: 0,
    mismatches: 0,
    refused: 0,
    queries: 0,
    failedWrites: 0,
    fromL2: 0,
    byDefinitions: 0,
    selfChecks: 0,
    selfCheckMismatches: 0,
    notKept: {},
    drops: {},
    byKeys: {},
    causes: {},
    examplesMax,
    examples: {},
  }
}

const SUMS = [
  'worlds',
  'kept',
  'loaded',
  'mismatches',
  'refused',
  'queries',
  'failedWrites',
  'fromL2',
  'byDefinitions',
  'selfChecks',
  'selfCheckMismatches',
] as const

export function noteDrop(
  tally: Tally,
  { identities, hasKeys }: Pick<World, 'identities' | 'hasKeys'>,
  of: QueryClass,
  cause: string | undefined,
  example: () => string,
): void {
  const key = `${identities} ${of}`
  const isNeedless = Number(cause !== undefined)
  add(tally.drops, key, { dropped: 1, needless: isNeedless })
  add(tally.byKeys, `${key} ${hasKeys ? 'keyed' : 'loose'}`, { dropped: 1, needless: isNeedless })
  if (cause === undefined) return
  const named = `${identities} ${of} ${cause}`
  tally.causes[named] = (tally.causes[named] ?? 0) + 1
  if (tally.examplesMax > 0) addExamples(tally, named, [example()])
}

export function addTally(to: Tally, other: Tally): void {
  for (const name of SUMS) to[name] += other[name]
  for (const [name, count] of Object.entries(other.causes)) to.causes[name] = (to.causes[name] ?? 0) + count
  for (const [name, count] of Object.entries(other.notKept)) to.notKept[name] = (to.notKept[name] ?? 0) + count
  for (const [name, drops] of Object.entries(other.drops)) add(to.drops, name, drops)
  for (const [name, drops] of Object.entries(other.byKeys)) add(to.byKeys, name, drops)
  for (const [name, examples] of Object.entries(other.examples)) addExamples(to, name, examples)
}

function addExamples({ examples, examplesMax }: Tally, name: string, more: readonly string[]): void {
  // What shows the same twice shows no more.
  const all = [...new Set([...(examples[name] ?? []), ...more])]
  examples[name] = all.sort((left, right) => left.length - right.length).slice(0, examplesMax)
}

function add(to: Tally['drops'], name: string, { dropped, needless }: Tally['drops'][string]): void {
  const sum = to[name] ?? { dropped: 0, needless: 0 }
  to[name] = { dropped: sum.dropped + dropped, needless: sum.needless + needless }
}

/** The shortest needless invalidations of each cause, those of the most frequent cause first, as lines of text. */
export function reportExamples({ examples, causes }: Tally): string[] {
  const names = Object.keys(examples).sort((left, right) => (causes[right] ?? 0) - (causes[left] ?? 0))
  return names.flatMap((name) => ['', `${name} (${causes[name]})`, ...examples[name]!.map((each) => `  - ${each}`)])
}

/** The figures as lines of text. */
export function report(tally: Tally): string[] {
  const count = (value: number): string => value.toLocaleString('en')
  const identities = (['full', 'default', 'mixed'] as const).filter((each) =>
    Object.keys(tally.drops).some((name) => name.startsWith(each)),
  )
  const lines = [
    `${count(tally.kept + tally.loaded)} answers compared: ${count(tally.kept)} from the cache, ${count(tally.loaded)} just loaded; ${tally.mismatches} wrong`,
    `${tally.worlds} schemas, ${count(tally.queries)} queries (${tally.refused} refused by PostgreSQL), ${tally.failedWrites} writes refused`,
    ...(tally.fromL2 > 0 ? [`${count(tally.fromL2)} answers came from L2`] : []),
    `${count(tally.selfChecks)} analyses compared with what was really read; ${tally.selfCheckMismatches} had missed a table`,
    `not kept: ${
      Object.entries(tally.notKept)
        .map(([reason, times]) => `${reason} ${times}`)
        .join(', ') || 'none'
    }`,
    '',
    row(
      'needless invalidations',
      identities.map((each) => each.toUpperCase()),
    ),
  ]
  const line = (title: string, of: (identities: Identities) => Tally['drops'][string] | undefined): string =>
    row(
      title,
      identities.map((each) => share([of(each)])),
    )
  lines.push(
    line(CLASSES.bounded, (each) => tally.drops[`${each} bounded`]),
    line('  where foreign keys hold', (each) => tally.byKeys[`${each} bounded keyed`]),
    line('  where they do not', (each) => tally.byKeys[`${each} bounded loose`]),
    line(CLASSES.linked, (each) => tally.drops[`${each} linked`]),
    line(CLASSES.wide, (each) => tally.drops[`${each} wide`]),
  )
  lines.push(
    row(
      'all',
      identities.map((each) => share(Object.keys(CLASSES).map((of) => tally.drops[`${each} ${of}`]))),
    ),
    '',
  )
  lines.push(
    row(
      'causes, share of all invalidations',
      identities.map((each) => each.toUpperCase()),
    ),
  )
  for (const cause of causesOf(tally))
    lines.push(
      row(
        `  ${cause}`,
        identities.map((each) => causeShare(tally, each, cause)),
      ),
    )
  return lines
}

function row(title: string, cells: readonly string[]): string {
  return `${title.padEnd(46)}${cells.map((cell) => cell.padStart(22)).join('')}`
}

function share(drops: readonly ({ dropped: number; needless: number } | undefined)[]): string {
  const sum = (what: 'dropped' | 'needless'): number => drops.reduce((total, each) => total + (each?.[what] ?? 0), 0)
  const dropped = sum('dropped')
  return dropped === 0 ? '-' : `${((100 * sum('needless')) / dropped).toFixed(1)} % of ${dropped.toLocaleString('en')}`
}

function causesOf({ causes }: Tally): string[] {
  const totals = new Map<string, number>()
  for (const [name, count] of Object.entries(causes)) {
    const cause = name.split(' ').slice(2).join(' ')
    totals.set(cause, (totals.get(cause) ?? 0) + count)
  }
  return [...totals].sort((left, right) => right[1] - left[1]).map(([cause]) => cause)
}

function causeShare(tally: Tally, identities: string, cause: string): string {
  const classes = Object.keys(CLASSES)
  const counts = classes.map((of) => tally.causes[`${identities} ${of} ${cause}`] ?? 0)
  const dropped = classes.reduce((total, of) => total + (tally.drops[`${identities} ${of}`]?.dropped ?? 0), 0)
  const needless = counts.reduce((total, each) => total + each, 0)
  return needless === 0 ? '' : `${((100 * needless) / dropped).toFixed(1)} % (${counts.join(' + ')})`
}
