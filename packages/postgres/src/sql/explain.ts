import type { Analysis, RowRead, TableRead } from './analyse.js'
import type { Bounds, Choice } from './bounds.js'
import { BOOL, INTEGERS, NUMERIC } from './canonical.js'
import type { Relation } from './catalogue.js'
import { conditionText } from './condition-text.js'
import type { Value } from './values.js'

/** Types whose constants are written without quotes. */
const BARE: ReadonlySet<number> = new Set([...INTEGERS, NUMERIC, BOOL])

/**
 * An analysis in words, a line for each thing it depends on: `rows of public.posts where author_id = $1`,
 * `all of public.authors (condition)`, `not kept: session (current_user)`.
 */
export function explainAnalysis(analysis: Analysis): string[] {
  return [
    ...analysis.rows.map(explainRows),
    ...analysis.tables.map(explainTable),
    ...analysis.unfollowable.map(explainUnfollowable),
    ...explainReasons(analysis),
  ]
}

export function explainUnfollowable({ table }: Relation): string {
  return `sends no changes: ${table}`
}

/** Why answers are not kept as they are, a line each. */
export function explainReasons({ reasons }: Analysis): string[] {
  return [...reasons].map(([reason, found]) => {
    const causes = found.size > 0 ? ` (${[...found].join(', ')})` : ''
    return `${reason === 'time' ? 'needs an expiry' : 'not kept'}: ${reason}${causes}`
  })
}

export function explainTable({ relation, reason }: TableRead): string {
  return `all of ${relation.table}${reason ? ` (${reason})` : ''}`
}

export function explainRows({ relation, ways, uncut, hidden }: RowRead): string {
  if (typeof ways === 'string') return `all of ${relation.table} (${ways})`
  if (uncut && explainCut(ways) === '') return `all of ${relation.table}${explainBeside(ways)} (${uncut})`
  const texts = new Set(ways.map(explainWay))
  const where = texts.has('') ? '' : ` where ${[...texts].join(' or ')}`
  const old = hidden ? ` (old values: ${hidden})` : ''
  return `rows of ${relation.table}${where}${explainCut(ways)}${old}`
}

/** The conditions that are tested on each row before and after a change. */
export function explainTests({ tested }: RowRead): string[] {
  return [...new Set((tested?.testings ?? []).map(({ condition }) => conditionText(condition)))]
}

function explainWay(bounds: Bounds): string {
  return bounds
    .filter(({ choice }) => choice.kind !== 'cut' && choice.kind !== 'beside')
    .map(({ column, choice }) => `${column.name} ${explainChoice(choice)}`)
    .join(' and ')
}

/** A LIMIT that cuts off some rows of each way. */
function explainCut(ways: readonly Bounds[]): string {
  const [first = []] = ways
  const found = first.filter(({ choice }) =>
    ways.every((way) =>
      way.some((each) => each.choice.kind === 'cut' && choice.kind === 'cut' && each.choice.cut === choice.cut),
    ),
  )
  return found
    .map(({ column, choice }) => {
      if (choice.kind !== 'cut') return ''
      const { limit, isDescending } = choice.cut
      return `, limit ${explainValue(limit)} by ${column.name}${isDescending ? ' desc' : ''}`
    })
    .join('')
}

/** What must be there beside its rows, as far as conditions tell it. */
function explainBeside(ways: readonly Bounds[]): string {
  const texts = ways.map((way) => {
    const tables = way.flatMap(({ choice }) => (choice.kind === 'beside' ? choice.tables : []))
    const told = tables.map(({ relation, bounds, isOwn }) => {
      const where = explainWay(bounds)
      return isOwn || where === '' ? '' : `${relation.table} where ${where}`
    })
    return [...new Set(told.filter((text) => text !== ''))].join(' and of ')
  })
  return texts.includes('') ? '' : `, while there are rows of ${[...new Set(texts)].join(', or of ')}`
}

function explainChoice(choice: Choice): string {
  switch (choice.kind) {
    case 'null':
      return 'is null'
    case 'not-null':
      return 'is not null'
    case 'shown':
      return `in (column ${choice.place + 1} of the answer)`
    case 'any':
      return `= any($${choice.parameter})`
    case 'not-any':
      return `<> all($${choice.parameter})`
    case 'compare':
      return `${choice.operator} ${explainValue(choice.value)}`
    case 'prefix':
      return choice.escape === undefined
        ? `starts with ${explainValue(choice.value)}`
        : `like ${explainValue(choice.value)}`
    case 'cut':
    case 'beside':
      return ''
    case 'chain': {
      const where = explainWay(choice.bounds)
      return `in (${choice.column.name} of ${choice.relation.table}${where === '' ? '' : ` where ${where}`})`
    }
    case 'in':
      if (choice.takesNull) return `is not distinct from ${choice.values.map(explainValue).join(', ')}`
      return choice.values.length === 1
        ? `= ${explainValue(choice.values[0]!)}`
        : `in (${choice.values.map(explainValue).join(', ')})`
    case 'not-in':
      if (choice.takesNull) return `is distinct from ${choice.values.map(explainValue).join(', ')}`
      return choice.values.length === 1
        ? `<> ${explainValue(choice.values[0]!)}`
        : `not in (${choice.values.map(explainValue).join(', ')})`
  }
}

function explainValue(value: Value): string {
  if ('parameter' in value) return `$${value.parameter}`
  if ('first' in value) return `coalesce(${value.first.map(explainValue).join(', ')})`
  if (value.constant === null) return 'null'
  const isBare = BARE.has(value.type) || (value.type > 0 && !value.node?.sval)
  return isBare ? value.constant : `'${value.constant.replaceAll("'", "''")}'`
}
