import type { SqlConnection } from './connection.js'
import { JOURNAL_SCHEMA } from './recording.js'

/** What decides an object's part in answers, and what else its row in the catalogue says. */
interface Stamp {
  /** What may change answers. */
  readonly def: string
  /** What changes none, e.g. grants and statistics: it explains why the row was written anew. */
  readonly quiet: string
  /** Which transaction wrote the row. */
  readonly xmin: string
}

export interface ColumnDefinition extends Stamp {
  readonly name: string
  /** It may be NULL, has no default of any kind, and nothing was done to the table since it was added: it is NULL in every row. */
  readonly isPlain: boolean
}

export interface Definition extends Stamp {
  readonly class: 'relation' | 'policy' | 'function' | 'type' | 'label' | 'code' | 'setting' | 'role' | 'index'
  readonly oid: number
  /** Of a relation `schema.name`, each part quoted as quote_ident does; of a function `schema.name()`, whatever arguments it takes. */
  readonly name: string
  readonly more: {
    /** relation and function: the name without the schema; relation: pg_class.relkind. */
    readonly bare?: string
    readonly kind?: string
    readonly isRowSecured?: boolean
    /** relation: by number. */
    readonly columns?: Readonly<Record<string, ColumnDefinition>> | null
    /** relation: what it inherits from or is a partition of, and the state of each of these links. */
    readonly parents?: readonly number[] | null
    readonly links?: string
    /** policy: its table. */
    readonly on?: number
    /** function: queries call it; it is IMMUTABLE; and the server has one of this name too. */
    readonly isCalled?: boolean
    readonly isKept?: boolean
    readonly isBuiltIn?: boolean
    /** function: names of its arguments. */
    readonly arguments?: readonly string[] | null
  }
}

/** The definitions in the catalogue that decide answers, as one snapshot. */
export interface Definitions {
  /** Equal for equal definitions. */
  readonly fingerprint: string
  readonly byKey: ReadonlyMap<string, Definition>
}

export const NO_DEFINITIONS: Definitions = { fingerprint: '', byKey: new Map() }

export async function readDefinitions(sql: SqlConnection, version: number): Promise<Definitions> {
  const [row] = await sql.rows<{ fingerprint: string; all: Definition[] | null }>(
    `with d as materialized (${all(version)})
     select ${FINGERPRINT} as fingerprint, (select json_agg(row_to_json(d)) from d) as "all"`,
  )
  const byKey = new Map((row!.all ?? []).map((each) => [keyOf(each), each]))
  return { fingerprint: row!.fingerprint, byKey }
}

/** Objects of the catalogue as they are after a command, as an event trigger tells them. */
export interface Amendment {
  readonly definitions: readonly Definition[]
  /** What is no more: class and OID. */
  readonly gone: readonly (readonly [kind: string, oid: number])[]
}

/** The definitions with these in place of what was known of the same objects. Which they are is told as `keys`. */
export function amended(
  { byKey }: Definitions,
  { definitions, gone }: Amendment,
): { readonly definitions: Definitions; readonly keys: ReadonlySet<string> } {
  const after = new Map(byKey)
  const keys = new Set<string>()
  for (const [kind, oid] of gone) {
    const key = `${kind} ${oid}`
    keys.add(key)
    after.delete(key)
  }
  for (const definition of definitions) {
    const key = keyOf(definition)
    keys.add(key)
    after.set(key, definition)
  }
  return { definitions: { fingerprint: '', byKey: after }, keys }
}

/** A renamed object is the same one; where there are no names, the catalogue that it is in stands there. */
function keyOf({ class: kind, oid, name }: Definition): string {
  return kind === 'code' || kind === 'setting' ? `${kind} ${oid} ${name}` : `${kind} ${oid}`
}

/** The SQL of the fingerprint of DEFINITIONS, where those are `d`. */
const FINGERPRINT = `(select md5(string_agg(md5(d::text), ',' order by class, oid, name)) from d)`

/**
 * The SQL of the definitions.
 *
 * @param version  the server's
 * @param only  which of a class, by the column of its OIDs
 */
export const definitionsSql = (version: number, only: (kind: Definition['class'], oid: string) => string): string => `
  select 'relation' as class, c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name,
    row(n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.relowner,
      case when c.relkind = 'v' then c.reloptions end,
      (select w.xmin from pg_rewrite w where w.ev_class = c.oid and w.ev_type = '1' and c.relkind = 'v'),
      (select array_agg(x.indkey::text) from pg_index x where x.indrelid = c.oid and x.indisvalid and x.indislive
        and (c.relreplident = 'd' and x.indisprimary or c.relreplident = 'i' and x.indisreplident)))::text as def,
    row(c.relacl, c.relfilenode, c.reloptions, c.relchecks, c.relhastriggers, c.relhasrules, c.relhassubclass, c.relhasindex,
      c.reltablespace, c.relam, c.relnatts, c.relispartition, c.relispopulated, c.reltoastrelid)::text as quiet, c.xmin::text as xmin,
    jsonb_build_object('bare', c.relname, 'kind', c.relkind, 'isRowSecured', c.relrowsecurity,
      'columns', a.columns, 'parents', h.parents, 'links', h.links) as more
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join lateral (
    select jsonb_object_agg(a.attnum, jsonb_build_object('name', a.attname, 'xmin', a.xmin::text,
      'def', concat_ws(':', a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated, a.attisdropped,
        case when a.attgenerated <> '' then (select d.xmin from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum) end),
      'quiet', concat_ws(':', a.attstattarget, a.attacl, a.attoptions, a.attfdwoptions, a.attstorage, a.atthasdef, a.atthasmissing,
        a.attnotnull, a.attislocal, a.attinhcount, a.attidentity),
      'isPlain', not (a.attisdropped or a.xmin <> c.xmin or a.attnotnull or a.atthasdef or a.atthasmissing or a.attidentity <> '' or a.attgenerated <> ''
        or exists (select from pg_type t where t.oid = a.atttypid and t.typtype = 'd')))) as columns
    from pg_attribute a where a.attnum > 0 and a.attrelid = c.oid
  ) a on true
  left join lateral (
    select jsonb_agg(inhparent::int8 order by inhseqno) as parents,
      string_agg(concat_ws(':', inhparent, xmin${version >= 140_000 ? ', inhdetachpending' : ''}), ',' order by inhseqno) as links
    from pg_inherits where inhrelid = c.oid
  ) h on true
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and c.relpersistence <> 't' and c.oid >= 16384
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and ${only('relation', 'c.oid')}
  union all
  select 'policy', oid::int8, '', xmin::text, '', xmin::text, jsonb_build_object('on', polrelid::int8) from pg_policy
    where ${only('policy', 'oid')}
  union all
  select 'function', p.oid::int8, format('%I.%I()', n.nspname, proname), row(proname, n.nspname, proowner, provolatile, prokind, prorettype,
      proargtypes, pronargdefaults, provariadic, prolang, prosecdef, proisstrict, proretset, md5(prosrc)${version >= 140_000 ? ', md5(prosqlbody::text)' : ''}, proconfig)::text,
    row(proacl, procost, prorows, proparallel, proleakproof)::text, p.xmin::text,
    jsonb_build_object('bare', proname, 'arguments', proargnames, 'isCalled', n.nspname <> '${JOURNAL_SCHEMA}' and prokind <> 'p' and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype),
      'isKept', provolatile = 'i', 'isBuiltIn', exists (select from pg_proc b where b.proname = p.proname and b.oid < 16384))
  from pg_proc p join pg_namespace n on n.oid = pronamespace where p.oid >= 16384 and ${only('function', 'p.oid')}
  union all
  select 'type', oid::int8, typname, row(typname, typnamespace, typbasetype, typtypmod, typinput, typoutput, typcollation)::text,
    row(typacl, typowner, typnotnull, typdefault)::text, xmin::text, '{}'
  from pg_type where oid >= 16384 and typtype in ('b', 'd', 'e', 'r') and typcategory <> 'A' and ${only('type', 'oid')}
  union all
  select 'label', oid::int8, '', enumlabel, enumsortorder::text, xmin::text, '{}' from pg_enum
    where oid >= 16384 and ${only('label', 'enumtypid')}
  union all
  select 'code', oid::int8, 'operator', row(oprname, oprnamespace, oprleft, oprright, oprcode)::text, oprowner::text, xmin::text, '{}'
    from pg_operator where oid >= 16384 and ${only('code', 'oid')}
  union all
  select 'code', oid::int8, 'cast', xmin::text, '', xmin::text, '{}' from pg_cast where oid >= 16384 and ${only('code', 'oid')}
  union all
  select 'code', oid::int8, 'operator class', row(opcfamily, opcintype, opcdefault)::text, opcowner::text, xmin::text, '{}'
    from pg_opclass where oid >= 16384 and ${only('code', 'oid')}
  union all
  select 'code', oid::int8, 'collation', row(collname, collnamespace, collprovider, collisdeterministic, collcollate)::text,
    row(collversion, collowner)::text, xmin::text, '{}' from pg_collation where oid >= 16384 and ${only('code', 'oid')}
  union all
  select 'setting', setrole::int8, setdatabase::text, setconfig::text, '', '', '{}' from pg_db_role_setting
    where setdatabase in (0, (select oid from pg_database where datname = current_database())) and ${only('setting', 'setrole')}
  union all
  select 'role', 0, '', md5(concat_ws('/',
      (select string_agg(concat_ws(':', roleid, member), ',' order by roleid, member, grantor) from pg_auth_members),
      (select string_agg(oid::text, ',' order by oid) from pg_roles where rolsuper or rolbypassrls))), '', '', '{}'
    where ${only('role', '0')}
  union all
  select 'index', indexrelid::int8, '', row(indrelid, indkey, indisunique, indisprimary, indisreplident, indimmediate)::text, '', '', '{}'
    from pg_index where indexrelid >= 16384 and indisvalid and indislive
      and indrelid in (select oid from pg_class where relpersistence <> 't') and ${only('index', 'indexrelid')}`

const all = (version: number): string => definitionsSql(version, () => 'true')

/** The SQL that tells whether anything changed. */
export function definitionsFingerprint(version: number): string {
  return `(with d as materialized (${all(version)}) select ${FINGERPRINT})`
}
