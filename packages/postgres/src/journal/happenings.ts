import { createHash } from 'node:crypto'
import { type Change, isNothing, type RowChange, type TableChange, type Target, type TargetChange } from 'tidemark'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import type { TableCounts } from '../wal/row-counts.js'
import type { Transaction } from '../wal/transaction.js'
import { edits, isEditRow, isOfTrees } from './edits.js'
import { type Happening, NOTHING, type Place } from './record.js'
import { detailOf, firstOf, storable, textOf } from './texts.js'

/** So many tables one record holds. */
const TABLES_MAX = 1_000

/**
 * What the journal records of a transaction: each request once for each tenant that it names, each edit of a config once, what it did to the
 * catalogue once, and its rows once, as counts by table.
 *
 * @param namesMax  of more keys, and of more tags, a record holds the first and a digest of all
 */
export function happeningsOf(
  { endLsn, committedAt, changes, counts }: Pick<Transaction, 'endLsn' | 'committedAt' | 'changes' | 'counts'>,
  epoch: string,
  namesMax: number,
): Happening[] {
  const place: Place = { epoch, lsn: endLsn, at: Math.round(committedAt * 1_000) }
  const told = [
    ...changes.flatMap((change) => (isRequest(change) ? requests(place, change, namesMax) : [])),
    ...edits(place, changes, namesMax),
    ...ddl(place, changes),
    ...rows(place, changes, counts),
  ]
  return told.map((happening, n) => ({ ...happening, n }))
}

// ── requests ─────────────────────────────────────────────────────────────────────────────────────────────

function isRequest(change: Change): change is TargetChange {
  return change.kind === 'target' && change.targets.length > 0
}

function requests(place: Place, change: TargetChange, namesMax: number): Happening[] {
  const byTenant = new Map<string | null, Target[]>()
  for (const target of change.targets) {
    const tenant = target.kind === 'everything' ? null : target.tenant
    const own = byTenant.get(tenant)
    if (own) own.push(target)
    else byTenant.set(tenant, [target])
  }
  return [...byTenant].map(([tenant, targets]) => request(place, change, tenant, targets, namesMax))
}

function request(
  place: Place,
  { mode, by }: TargetChange,
  tenant: string | null,
  targets: readonly Target[],
  namesMax: number,
): Happening {
  const keys = targets.flatMap((target) => (target.kind === 'key' ? [target.key] : []))
  const tags = targets.flatMap((target) => (target.kind === 'tag' && !isNothing(target) ? [target.tag] : []))
  const patterns = targets.flatMap((target) => (target.kind === 'pattern' ? [target] : []))
  const isAll = targets.some(({ kind }) => kind === 'tenant' || kind === 'everything')
  const shown = { keys: firstOf(keys, namesMax), tags: firstOf(tags, namesMax) }
  const isCut = shown.keys.length < keys.length || shown.tags.length < tags.length
  return {
    ...NOTHING,
    ...place,
    tenant: tenant === null ? null : storable(tenant),
    origin: 'request',
    pattern: isAll
      ? '*'
      : patterns.length > 0
        ? storable(patterns.map(({ pattern }) => pattern).join('\n'))
        : textOf(by?.pattern),
    keys: shown.keys.map(storable),
    tags: shown.tags.map(storable),
    mode,
    actor: textOf(by?.actor),
    requestId: textOf(by?.requestId),
    cause: textOf(by?.cause),
    detail: detailOf({
      ...(keys.length > 0 ? { keys: keys.length } : {}),
      ...(tags.length > 0 ? { tags: tags.length } : {}),
      ...(patterns.length > 0 ? { patterns: patterns.map(({ syntax, pattern }) => ({ syntax, pattern })) } : {}),
      ...(isAll ? { all: tenant === null ? 'everything' : 'tenant' } : {}),
      ...(isCut ? { sha256: digestOf(keys, tags) } : {}),
    }),
  }
}

/** By which a list of names that is not shown in full can be known again. */
function digestOf(keys: readonly string[], tags: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([keys, tags]))
    .digest('hex')
}

// ── rows and the catalogue ───────────────────────────────────────────────────────────────────────────────

function isOfDdl(change: Change): boolean {
  if (change.kind === 'table') return change.reason === 'ddl' || change.reason === 'columns-added'
  return change.kind === 'everything' || (change.kind === 'target' && change.targets.length === 0)
}

function ddl(place: Place, changes: readonly Change[]): Happening[] {
  const own = changes.filter((change) => isOfDdl(change) && !isOfRows(change, changes))
  if (own.length === 0) return []
  const tables = tablesOf(own)
  // Our own tables: what the journal makes for itself is not worth a record of it.
  if (own.every((change) => change.kind === 'table' && isOurs(change.table))) return []
  const reasons = own.flatMap((change) => (change.kind === 'everything' ? [change.reason] : []))
  const cause = reasons.length > 0 ? [...new Set(reasons)].join('; ') : null
  return [{ ...NOTHING, ...place, tenant: null, origin: 'ddl', tables, cause, detail: detailOf({}) }]
}

/** Before the first row of a table that was altered the log describes the table anew: that the catalogue changed was told by itself. */
function isOfRows(change: Change, changes: readonly Change[]): boolean {
  return change.kind === 'table' && changes.some((other) => other.kind === 'row' && other.table === change.table)
}

function rows(place: Place, changes: readonly Change[], large: Transaction['counts']): Happening[] {
  const counts = countsOf(changes, large)
  if (counts.size === 0) return []
  const names = [...counts.keys()]
  const shown = names.slice(0, TABLES_MAX)
  const all = [...counts.values()]
  const detail = detailOf({
    tables: Object.fromEntries(shown.map((name) => [storable(name), counts.get(name)!.told])),
    rows: all.reduce((sum, { rows }) => sum + rows, 0),
    // Its rows were not kept one by one. What was rolled back in parts may be among them where these were too many to tell apart.
    ...(large ? { large: true } : {}),
    ...(all.every(({ isExact }) => isExact) ? {} : { atMost: true }),
    ...(names.length > TABLES_MAX ? { tablesInAll: names.length } : {}),
  })
  return [{ ...NOTHING, ...place, tenant: null, origin: 'rows', tables: shown.map(storable), detail }]
}

interface Count {
  /** What was done to how many rows, and what happened to the table as a whole. */
  readonly told: Record<string, number>
  rows: number
  isExact: boolean
}

/** By table. An edit tells of the rows of config trees by itself. */
function countsOf(changes: readonly Change[], large: Transaction['counts']): Map<string, Count> {
  const counts = new Map<string, Count>()
  const isEdit = changes.some(isEditRow)
  for (const change of changes) {
    if ((change.kind !== 'row' && change.kind !== 'table') || isOurs(change.table)) continue
    if (isOfDdl(change) && !isOfRows(change, changes)) continue
    if (isEdit && isOfTrees(change.table)) continue
    let own = counts.get(change.table)
    if (!own) {
      own = { told: {}, rows: 0, isExact: true }
      counts.set(change.table, own)
    }
    const known = change.kind === 'table' && change.reason === 'large' ? large?.get(change.table) : undefined
    if (known) addLarge(own, known)
    else {
      const what = change.kind === 'row' ? change.op : change.reason
      own.told[what] = (own.told[what] ?? 0) + 1
      if (change.kind === 'row') own.rows++
    }
  }
  return counts
}

function addLarge(own: Count, { isExact, ...counts }: TableCounts): void {
  for (const [what, count] of Object.entries(counts)) {
    if (count === 0) continue
    own.told[what] = (own.told[what] ?? 0) + count
    if (what !== 'truncate') own.rows += count
  }
  own.isExact &&= isExact
}

function isOurs(table: string): boolean {
  return table.startsWith(`${JOURNAL_SCHEMA}.`)
}

function tablesOf(changes: readonly Change[]): string[] {
  const named = changes.filter((change): change is RowChange | TableChange => 'table' in change)
  return [...new Set(named.map(({ table }) => table))]
    .filter((table) => !isOurs(table))
    .slice(0, TABLES_MAX)
    .map(storable)
}
