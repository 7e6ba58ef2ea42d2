import { escapeIdentifier } from 'pg'
import { type Catalogue, type CatalogueTable, readCatalogue } from '../wal/catalogue.js'
import type { SqlConnection } from '../wal/connection.js'
import { OWN_SCHEMAS, planPublication, publishSql } from '../wal/publication.js'
import { error, type Finding, listed, ok, warning } from './finding.js'

/** What the publication and the identities of the tables let Tidemark see. */
export async function checkTables(sql: SqlConnection, publication: string, version: number): Promise<Finding[]> {
  const catalogue = await readCatalogue(sql, publication, version)
  const facts = await sql.rows<TableFacts>(TABLE_FACTS)
  const byOid = new Map(facts.map((row) => [row.oid, row]))
  const [row] = await sql.rows<{ mayCreate: boolean }>(
    `select has_database_privilege(current_database(), 'create') as "mayCreate"`,
  )
  const others = [...catalogue.tables.values()].filter(({ schema }) => !OWN_SCHEMAS.has(schema))
  return [...checkPublication(publication, catalogue, row!.mayCreate), ...checkIdentities(others, byOid, version)]
}

interface TableFacts {
  oid: number
  /** Rows updated or deleted since statistics began. */
  changed: number
  hasGenerated: boolean
  /** A unique index that could be the identity. */
  index: string | null
}

const TABLE_FACTS = `
  select c.oid, coalesce(s.n_tup_upd + s.n_tup_del, 0)::float8 as changed,
    exists (select from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated <> '') as "hasGenerated",
    (select format('%I', i.relname) from pg_index x join pg_class i on i.oid = x.indexrelid
      where x.indrelid = c.oid and x.indisunique and x.indimmediate and x.indisvalid and x.indpred is null and x.indexprs is null
        and not exists (select from unnest(x.indkey::int2[]) with ordinality k(attnum, place)
          join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
          where k.place <= x.indnkeyatts and (not a.attnotnull or a.attgenerated <> ''))
      order by x.indnkeyatts, i.relname limit 1) as index
  from pg_class c left join pg_stat_user_tables s on s.relid = c.oid
  where c.relkind in ('r', 'p') and c.oid >= 16384`

function checkPublication(name: string, catalogue: Catalogue, mayCreate: boolean): Finding[] {
  const plan = planPublication(catalogue)
  const { publication } = catalogue
  if (!publication) {
    const owned = plan.add.length
    const create = `${publishSql(name, [...plan.add, ...plan.unowned], false)};`
    if (!mayCreate) {
      return [
        error(
          'TIDEMARK_RIGHTS',
          `the publication "${name}" does not exist, and the role may not make it`,
          'Changes cannot be followed until somebody makes it: entries live until they expire.',
          create,
        ),
      ]
    }
    if (plan.unowned.length === 0)
      return [ok('publication', `the publication "${name}" will be made at the first start, of ${owned} table(s)`)]
    return [
      warning(
        'publication',
        `the publication "${name}" does not exist, and ${plan.unowned.length} table(s) belong to others`,
        'What reads those tables is answered, and not kept.',
        create,
      ),
    ]
  }
  const findings: Finding[] = []
  if (!publication.isComplete) {
    findings.push(
      error(
        'TIDEMARK_PUBLICATION',
        `the publication "${name}" does not send every change under its own table's name`,
        'It is refused.',
        `alter publication ${escapeIdentifier(name)} set (publish = 'insert, update, delete, truncate', publish_via_partition_root = false);`,
      ),
    )
  }
  if (plan.unowned.length > 0) {
    findings.push(
      warning(
        'unpublished',
        `${plan.unowned.length} table(s) are not in the publication, and the role may not add them: ${names(plan.unowned)}`,
        'What reads them is answered, and not kept.',
        `${publishSql(name, plan.unowned, true)};`,
      ),
    )
  }
  const restricted = [...catalogue.tables.values()].filter((table) => table.isRestricted)
  if (restricted.length > 0) {
    findings.push(
      warning(
        'restricted',
        `the publication sends only some rows or columns of ${names(restricted)}`,
        'What reads them is answered, and not kept; and their own updates may fail (42P10).',
        `alter publication ${escapeIdentifier(name)} drop table ${restricted.map(({ table }) => table).join(', ')}; -- Tidemark adds them again, whole`,
      ),
    )
  }
  if (findings.length > 0) return findings
  if (plan.add.length > 0)
    return [ok('publication', `the publication "${name}" will list ${names(plan.add)} too, once a process follows`)]
  return [ok('publication', `the publication "${name}" lists what can be followed`)]
}

function checkIdentities(
  tables: readonly CatalogueTable[],
  facts: ReadonlyMap<number, TableFacts>,
  version: number,
): Finding[] {
  const findings: Finding[] = []
  const outside = tables.filter((table) => !table.isLogged)
  if (outside.length > 0) {
    const unlogged = outside.filter(({ kind }) => kind !== 'foreign')
    const mends = unlogged.slice(0, 10).map(({ table }) => `alter table ${table} set logged (rewrites it)`)
    findings.push(
      warning(
        'not-in-wal',
        `unlogged or foreign: ${names(outside)}`,
        'Their changes are in no log: what reads them is kept only with an expiry.',
        [mends.join('; '), 'declare a ttl'].filter(Boolean).join(', or '),
        false,
      ),
    )
  }
  const missing = tables.filter((table) => table.isLogged && !table.identity)
  for (const table of missing.slice(0, 50)) findings.push(missingIdentity(table, facts.get(table.oid), version))
  if (missing.length > 50)
    findings.push(
      warning('identity-missing', `${missing.length - 50} more tables have no usable identity`, '', '', false),
    )
  if (missing.length === 0) findings.push(ok('identity-missing', 'every logged table has a usable replica identity'))

  const narrow = tables
    .filter((table) => table.kind === 'table' && table.identity && table.identity.kind !== 'full')
    .map((table) => ({ table, facts: facts.get(table.oid) }))
    .filter(({ facts }) => facts && facts.changed > 0 && !(version >= 180_000 && facts.hasGenerated))
    .sort((a, b) => b.facts!.changed - a.facts!.changed)
    .slice(0, 10)
  if (narrow.length > 0) {
    findings.push(
      warning(
        'identity-narrow',
        `updates and deletes do not say the old values of ${listed(narrow.map(({ table, facts }) => `${table.table} (rows changed so far: ${facts!.changed})`))}`,
        'Where an answer does not name its rows by identity (count, sum, distinct, exists, offset, outer joins), any update or delete of the ' +
          'table makes it stale. FULL makes this exact, and costs more WAL for each update and delete.',
        narrow.map(({ table }) => `alter table ${table.table} replica identity full;`).join('\n'),
      ),
    )
  }
  return findings
}

function missingIdentity(table: CatalogueTable, facts: TableFacts | undefined, version: number): Finding {
  const cost = 'What reads it is answered, and not kept: publishing it would make its own updates fail.'
  const title = `${table.table} has no usable replica identity`
  if (facts?.index) {
    return warning(
      'identity-missing',
      title,
      cost,
      `alter table ${table.table} replica identity using index ${facts.index};`,
    )
  }
  if (table.kind === 'table' && !(version >= 180_000 && facts?.hasGenerated)) {
    return warning(
      'identity-missing',
      title,
      cost,
      `alter table ${table.table} replica identity full; -- or give it a primary key, which is cheaper`,
    )
  }
  return warning(
    'identity-missing',
    title,
    cost,
    `Give ${table.table} a primary key of columns that are not generated.`,
    false,
  )
}

function names(tables: readonly CatalogueTable[]): string {
  return listed(tables.map(({ table }) => table))
}
