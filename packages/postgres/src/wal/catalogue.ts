import { type Pulse, pulseColumns, pulseSql } from './catalogue-pulse.js'
import type { SqlConnection } from './connection.js'
import { definitionsFingerprint } from './definitions.js'

/** Which old values a table's changes carry: those of these columns (all of them under `full`). */
export interface Identity {
  readonly kind: 'default' | 'full' | 'index'
  readonly columns: readonly string[]
}

export interface CatalogueTable {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `schema.name`, each part quoted as quote_ident does. */
  readonly table: string
  readonly kind: 'table' | 'partitioned' | 'foreign'
  /** Its rows are in the WAL: neither unlogged nor temporary nor foreign. */
  readonly isLogged: boolean
  /** Publishing it can't make its own updates and deletes fail. */
  readonly identity: Identity | undefined
  /** The role may add it to a publication. */
  readonly isOwned: boolean
  /** Its entry in the publication, its own or one that covers it; 0 if it is not published. Another entry has another number. */
  readonly entry: number
  /** The publication names it itself, rather than an ancestor of it or its schema. */
  readonly isNamed: boolean
  /** It is published with a row filter or a column list: not every change is sent. */
  readonly isRestricted: boolean
  readonly parents: readonly number[]
  readonly children: readonly number[]
}

export interface Publication {
  readonly oid: number
  readonly isOwned: boolean
  /** FOR ALL TABLES: none can be added or removed. */
  readonly isAllTables: boolean
  /** It sends every kind of change, under the names of the partitions. */
  readonly isComplete: boolean
  /** Another one if the publication itself was changed, other than by what it lists. */
  readonly state: string
}

export interface Catalogue {
  /** undefined if the publication does not exist. */
  readonly publication: Publication | undefined
  readonly tables: ReadonlyMap<number, CatalogueTable>
}

/** What tells that the catalogue changed: anything that can change answers, and the publication. */
export interface Fingerprint {
  readonly schema: string
  readonly publication: string
  readonly pulse: Pulse
}

interface TableRow {
  oid: number
  schema: string
  name: string
  table: string
  kind: string
  persistence: string
  replident: string
  owned: boolean
  generated: boolean
  identity: string[]
  identity_generated: boolean
  entry: number | null
  restricted: boolean
  covered: boolean
  parents: number[]
}

/**
 * Reads a fingerprint of everything in the catalogue that changes answers without a change of rows.
 *
 * TRUNCATE, VACUUM, CLUSTER, ANALYZE, REINDEX, REFRESH MATERIALIZED VIEW and temporary tables do not change it: the first is in the
 * log itself, the others change no answer that is kept without an expiry.
 *
 * @param known  the last one: if nothing was written since, it is still the same
 */
export async function readFingerprint(
  sql: SqlConnection,
  publication: string,
  version: number,
  known: Fingerprint | undefined,
): Promise<Fingerprint> {
  if (known) {
    const [now] = await sql.rows<Pulse & { recent: boolean }>(pulseSql(version), [known.pulse.xmin])
    const { counts, xmin, recent } = now!
    if (!recent && counts === known.pulse.counts) return { ...known, pulse: { counts, xmin } }
  }
  const [row] = await sql.rows<Pulse & { schema: string; publication: string | null }>(fingerprintSql(version), [
    publication,
  ])
  const { schema, counts, xmin } = row!
  return { schema, publication: row!.publication ?? '', pulse: { counts, xmin } }
}

export async function readCatalogue(sql: SqlConnection, publication: string, version: number): Promise<Catalogue> {
  const publications = await sql.rows<{
    oid: number
    owned: boolean
    everything: boolean
    complete: boolean
    state: string
  }>(
    `select p.oid, p.xmin::text as state, pg_has_role(p.pubowner, 'USAGE') as owned,
       p.puballtables as everything, p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate and not p.pubviaroot as complete
     from pg_publication p where p.pubname = $1`,
    [publication],
  )
  const found = publications[0]
  const rows = await sql.rows<TableRow>(tablesSql(version), [found?.oid ?? 0, found ? publication : ''])
  return {
    publication: found && {
      oid: found.oid,
      isOwned: found.owned,
      isAllTables: found.everything,
      isComplete: found.complete,
      state: found.state,
    },
    tables: assemble(rows, found?.oid ?? 0, found?.everything ?? false, version),
  }
}

function assemble(
  rows: readonly TableRow[],
  publication: number,
  isAllTables: boolean,
  version: number,
): Map<number, CatalogueTable> {
  const byOid = new Map(rows.map((row) => [row.oid, row]))
  const children = new Map<number, number[]>()
  for (const { oid, parents } of rows) {
    for (const parent of parents) children.set(parent, [...(children.get(parent) ?? []), oid])
  }
  return new Map(
    rows.map((row) => {
      const ancestry = [
        row,
        ...ancestorsOf(row.oid, (oid) => byOid.get(oid)?.parents ?? []).map((oid) => byOid.get(oid)!),
      ]
      // A partition is published by its root; a table with children by INHERITS publishes itself only.
      const named = ancestry.find(({ entry, kind }) => entry !== null && (kind === 'p' || entry === row.entry))
      const isPublished = row.covered || isAllTables || (row.kind === 'p' && named !== undefined) || row.entry !== null
      const table: CatalogueTable = {
        oid: row.oid,
        schema: row.schema,
        name: row.name,
        table: row.table,
        kind: row.kind === 'p' ? 'partitioned' : row.kind === 'f' ? 'foreign' : 'table',
        isLogged: row.persistence === 'p' && row.kind !== 'f',
        identity: identityOf(row, version),
        isOwned: row.owned,
        entry: isPublished ? (named?.entry ?? publication) : 0,
        isNamed: row.entry !== null,
        isRestricted: ancestry.some(({ restricted }) => restricted),
        parents: row.parents,
        children: children.get(row.oid) ?? [],
      }
      return [row.oid, table]
    }),
  )
}

/** Every table above one, nearest first; each once. */
export function ancestorsOf(oid: number, parentsOf: (oid: number) => readonly number[]): number[] {
  const found = new Set<number>()
  const queue = [...parentsOf(oid)]
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    if (found.has(parent)) continue
    found.add(parent)
    queue.push(...parentsOf(parent))
  }
  return [...found]
}

function identityOf(row: TableRow, version: number): Identity | undefined {
  // Generated columns are not published, and an identity that has one makes updates fail (42P10), or is incomplete.
  if (row.identity_generated || row.identity.length === 0) return undefined
  if (row.replident === 'f')
    return version >= 180_000 && row.generated ? undefined : { kind: 'full', columns: row.identity }
  return { kind: row.replident === 'i' ? 'index' : 'default', columns: row.identity }
}

function tablesSql(version: number): string {
  const restricted = version >= 150_000 ? 'coalesce(r.prqual is not null or r.prattrs is not null, false)' : 'false'
  return `
    select c.oid, n.nspname::text as schema, c.relname::text as name, format('%I.%I', n.nspname, c.relname) as "table",
      c.relkind::text as kind, c.relpersistence::text as persistence, c.relreplident::text as replident,
      pg_has_role(c.relowner, 'USAGE') as owned, a.generated, coalesce(i.columns, '{}') as identity,
      coalesce(i.generated, false) as identity_generated, r.oid as entry, ${restricted} as restricted,
      g.relid is not null as covered,
      array(select inhparent from pg_inherits where inhrelid = c.oid order by inhseqno) as parents
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_publication_rel r on r.prpubid = $1 and r.prrelid = c.oid
    left join (select t.relid from pg_publication p, pg_get_publication_tables(p.pubname::text) t where p.pubname = $2) g on g.relid = c.oid
    cross join lateral (
      select coalesce(bool_or(attgenerated <> ''), false) as generated from pg_attribute
      where attrelid = c.oid and attnum > 0 and not attisdropped
    ) a
    left join lateral (
      select array_agg(k.attname::text order by k.attnum) as columns,
        bool_or(k.attgenerated <> '') and c.relreplident <> 'f' as generated
      from pg_attribute k
      where k.attrelid = c.oid and k.attnum > 0 and not k.attisdropped and (
        (c.relreplident = 'f' and k.attgenerated = '') or k.attnum = any (
          select x.attnum from pg_index j, unnest(j.indkey::int2[]) with ordinality as x(attnum, place)
          where j.indrelid = c.oid and j.indisvalid and j.indislive and j.indimmediate and x.place <= j.indnkeyatts
            and (c.relreplident = 'd' and j.indisprimary or c.relreplident = 'i' and j.indisreplident)))
    ) i on true
    where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and c.oid >= 16384
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`
}

function fingerprintSql(version: number): string {
  const schemas =
    version >= 150_000
      ? 'union all select oid, xmin::text from pg_publication_namespace where pnpubid in (select oid from p)'
      : ''
  return `
    with p as materialized (select oid, xmin from pg_publication where pubname = $1)
    select ${definitionsFingerprint(version)} as schema,
    (select md5(string_agg(e.oid || ':' || e.xmin, ',' order by e.oid)) from (
      select oid, xmin::text from p
      union all select oid, xmin::text from pg_publication_rel where prpubid in (select oid from p)
      ${schemas}) e) as publication,
    ${pulseColumns(version)}`
}
