import { createHash } from 'node:crypto'
import type { Change, RowChange, TableChange, Target, TargetChange } from 'tidemark'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import type { Transaction } from '../wal/transaction.js'
import { type Happening, NOTHING } from './record.js'

/** So many characters of keys and tags one record holds, and so many tables. */
const CHARACTERS_MAX = 65_536
const TABLES_MAX = 1_000

type Place = Pick<Happening, 'epoch' | 'lsn' | 'at'>

/**
 * What the journal records of a transaction: each request once for each tenant that it names, what it did to the catalogue once, and its
 * rows once, as counts by table.
 *
 * @param namesMax  of more keys, and of more tags, a record holds the first and a digest of all
 */
export function happeningsOf(
  { endLsn, committedAt, changes }: Pick<Transaction, 'endLsn' | 'committedAt' | 'changes'>,
  epoch: string,
  namesMax: number,
): Happening[] {
  const place: Place = { epoch, lsn: endLsn, at: Math.round(committedAt * 1_000) }
  const told = [
    ...changes.flatMap((change) => (isRequest(change) ? requests(place, change, namesMax) : [])),
    ...ddl(place, changes),
    ...rows(place, changes),
  ]
  return told.map((happening, n) => ({ ...happening, n }))
}

/**
 * Text as PostgreSQL can hold it: it has neither NUL nor halves of a surrogate pair. What has one is written as a JSON string, with
 * quotes and escapes.
 */
export function storable(text: string): string {
  return text.includes('\0') || !text.isWellFormed() ? JSON.stringify(text) : text
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
  const tags = targets.flatMap((target) => (target.kind === 'tag' ? [target.tag] : []))
  const patterns = targets.flatMap((target) => (target.kind === 'pattern' ? [target] : []))
  const isAll = targets.some(({ kind }) => kind === 'tenant' || kind === 'everything')
  const shown = { keys: firstOf(keys, namesMax), tags: firstOf(tags, namesMax) }
  const isCut = shown.keys.length < keys.length || shown.tags.length < tags.length
  return {
    ...NOTHING,
    ...place,
    tenant: tenant === null ? null : storable(tenant),
    origin: 'request',
    pattern: isAll ? '*' : patterns.length > 0 ? storable(patterns.map(({ pattern }) => pattern).join('\n')) : null,
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

function firstOf(names: readonly string[], namesMax: number): string[] {
  const first: string[] = []
  let characters = 0
  for (const name of names) {
    characters += name.length
    if (first.length >= namesMax || characters > CHARACTERS_MAX) break
    first.push(name)
  }
  return first
}

/** By which a list of names that is not shown in full can be known again. */
function digestOf(keys: readonly string[], tags: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([keys, tags]))
    .digest('hex')
}

function textOf(text: string | undefined): string | null {
  return text === undefined ? null : storable(text)
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

function rows(place: Place, changes: readonly Change[]): Happening[] {
  const counts = new Map<string, Record<string, number>>()
  let [total, isLarge] = [0, false]
  for (const change of changes) {
    if ((change.kind !== 'row' && change.kind !== 'table') || isOurs(change.table)) continue
    if (isOfDdl(change) && !isOfRows(change, changes)) continue
    const what = change.kind === 'row' ? change.op : change.reason
    isLarge ||= what === 'large'
    if (change.kind === 'row') total++
    let own = counts.get(change.table)
    if (!own) {
      own = {}
      counts.set(change.table, own)
    }
    own[what] = (own[what] ?? 0) + 1
  }
  if (counts.size === 0) return []
  const names = [...counts.keys()]
  const shown = names.slice(0, TABLES_MAX)
  const detail = detailOf({
    tables: Object.fromEntries(shown.map((name) => [storable(name), counts.get(name)])),
    // Of a large transaction the log keeps its tables only.
    ...(isLarge ? {} : { rows: total }),
    ...(names.length > TABLES_MAX ? { tablesInAll: names.length } : {}),
  })
  return [{ ...NOTHING, ...place, tenant: null, origin: 'rows', tables: shown.map(storable), detail }]
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

/** JSON that PostgreSQL's `json` holds: it refuses \u0000 and halves of surrogate pairs only in `jsonb`, but text functions fail on them. */
export function detailOf(detail: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(detail, (_, value: unknown) => (typeof value === 'string' ? storable(value) : value))
}
