import type { Dependency } from 'tidemark'
import type { Drop } from './run.js'
import type { Query, World } from './world.js'

/**
 * Why an entry was dropped whose answer is what it was before, as far as its dependencies and the analysis tell.
 *
 * @param verdict  what `source.describe` says of the query
 */
export function causeOf(drop: Drop, query: Query, world: World, verdict: readonly string[]): string {
  const changes = Object.keys(drop.changes).map((change) => ({
    table: change.slice(0, change.lastIndexOf(' ')),
    op: change.slice(change.lastIndexOf(' ') + 1),
  }))
  if (changes.every(({ op }) => op === 'truncate')) return 'truncate'
  const touched = touchedBy(
    drop,
    changes.map(({ table }) => table),
  )
  const whole = touched.find(({ kind }) => kind === 'table')
  if (whole) return `whole table: ${reasonOf(whole.table, verdict)}`
  const isUpdate = changes.some(({ op }) => op === 'update')
  const hidden = touched.find(
    (dependency) =>
      isUnknown(dependency, world) && changes.some(({ table, op }) => table === dependency.table && op !== 'insert'),
  )
  if (hidden)
    return `old values: ${/\(old values: ([^)]*)\)/.exec(verdict.find((line) => line.includes(` of ${hidden.table} `)) ?? '')?.[1] ?? 'members'}`
  const isJoined = query.class !== 'wide' && query.features.includes('join')
  if (isJoined && !isUpdate) return 'no join partner'
  if (isUpdate && touched.some((dependency) => !('reads' in dependency) || dependency.reads === undefined))
    return 'reads all columns'
  for (const feature of [
    'limit',
    'distinct',
    'aggregate',
    'window',
    'set-operation',
    'exists',
    'in-subquery',
    'scalar',
    'lateral',
    'view',
    'cte',
    'derived',
    'or',
    'not',
    'outer-join',
    'join',
  ])
    if (query.features.includes(feature)) return `bounded rows: ${feature}`
  return 'bounded rows: other conditions'
}

/** Whether the log told of a change of definitions: the catalogue's poll may see one after its round. */
export function isOfDefinitions(change: string): boolean {
  return change.startsWith('everything') || change.endsWith(' ddl') || change.endsWith(' columns-added')
}

type OfTable = Extract<Dependency, { kind: 'table' | 'rows' }>

/** The dependencies on the changed tables: which of them was touched is not said. */
export function touchedBy({ dependencies }: Drop, tables: readonly string[]): OfTable[] {
  return dependencies.filter(
    (dependency): dependency is OfTable => 'table' in dependency && tables.includes(dependency.table),
  )
}

/** Whether the log need not tell old values of the columns. */
function isUnknown(dependency: OfTable, { tables }: World): boolean {
  if (dependency.kind !== 'rows' || dependency.old !== 'coarse') return false
  const table = tables.find(({ name }) => (name.includes('.') ? name : `public.${name}`) === dependency.table)
  if (!table || table.identity === 'full') return false
  const known = table.identity === 'index' ? ['u'] : table.keys
  return !columnsOf(dependency).every((column) => known.includes(column) || known.includes(`"${column}"`))
}

function columnsOf(dependency: Extract<OfTable, { kind: 'rows' }>): string[] {
  const { range, also = [] } = dependency as { range?: { column: string }; also?: readonly { column: string }[] }
  return [...dependency.columns, ...(range ? [range.column] : []), ...also.map(({ column }) => column)]
}

function reasonOf(table: string, verdict: readonly string[]): string {
  const line = verdict.find((each) => each.startsWith(`all of ${table}`))
  return /\(([^)]*)\)\s*$/.exec(line ?? '')?.[1] ?? (line ? 'the query reads all of it' : 'decided by values')
}
