import { FUNCTIONS, type FunctionFact } from './function-facts.js'
import type { Mentions, Name } from './mentions.js'
import { quoted } from './mentions.js'

/** A column, as far as a dependency on it goes. */
export interface Column {
  readonly number: number
  readonly name: string
  /** Type OID and modifier (length, scale); of a domain, those of the type below it. */
  readonly type: number
  readonly modifier: number
  /** pg_type.typtype: b base, e enum, c composite, r range …; of a domain, that of the type below it. */
  readonly kind: string
  /** An enum's labels in their order; null for other types. */
  readonly labels: readonly string[] | null
  /** OID of the type of arrays of it. */
  readonly arrayType: number
  readonly collation: number
  readonly isDeterministic: boolean
  /** Its collation orders by code point. */
  readonly isBytewise: boolean
  /** citext: upper and lower case are equal. */
  readonly isFolded: boolean
  readonly isGenerated: boolean
  /** NOT NULL. */
  readonly isRequired?: boolean
  /** Somebody defined an operator `=` of their own for its type. */
  readonly hasOwnEquality: boolean
  /** The same for `<`, `<=`, `>`, `>=` and `<>`. */
  readonly hasOwnOrder: boolean
}

/** A relation that reading the query reads: because it names it, or through another. */
export interface Relation {
  readonly oid: number
  /** `schema.name`, quoted as in the log. */
  readonly table: string
  /** pg_class.relkind: r table, p partitioned, v view, m materialized view, f foreign, S sequence … */
  readonly kind: string
  /** p permanent, u unlogged, t temporary. */
  readonly persistence: string
  readonly isSystem: boolean
  /** Policies apply to us when we read it; `hasPolicies`: to somebody. */
  readonly isRowSecured: boolean
  readonly hasPolicies: boolean
  /** Its own columns that the policies name which apply to us, beside whole rows; null where none do. */
  readonly policyColumns: readonly string[] | null
  /** We may select from it, and nothing hides some of its rows from us. */
  readonly isReadable: boolean
  /** How the query comes to read it. */
  readonly via: readonly ('query' | 'view' | 'policy')[]
  /** In their order; of tables only. */
  readonly columns: readonly Column[]
  /** The columns of its primary key; none if it has none. */
  readonly keys: readonly string[]
  /** It has few rows: less than 64 kB of them, in all its partitions. */
  readonly isSmall: boolean
  /** SQL of the view or of its policies. */
  readonly definitions: readonly string[]
}

/** What the server says of all that a statement mentions, on the connection that will run it. */
export interface Facts {
  /** By the name in the query, quoted. A name that no relation has is missing (a CTE, or an error). */
  readonly named: ReadonlyMap<string, Relation>
  readonly relations: readonly Relation[]
  /** All functions that have one of the names, in any schema that the search path or the name allows. */
  readonly functions: readonly FunctionFact[]
  /** Types that the statement, or what stands behind it, names, by the name, quoted. */
  readonly types: NamedTypes
  /** By the OID of a parameter's type that is a domain, or an array of one: what its values are compared as. */
  readonly bases: ReadonlyMap<number, number>
  /** Built-in names win: pg_catalog comes first in the search path. */
  readonly isCatalogFirst: boolean
  /** An operator of the query, a function written as an attribute, or a cast anywhere, whose reads can't be known. */
  readonly hasUnknownCode: boolean
}

/** A type of the schema's own, or the one below it if it is a domain that says nothing of length, scale or collation. */
export interface NamedType {
  readonly oid: number
  /** pg_type.typtype. */
  readonly kind: string
}

export type NamedTypes = ReadonlyMap<string, NamedType>

/** Runs a statement that answers one row of one text column. */
export type Ask = (text: string, values: unknown[]) => Promise<string>

/** Objects that the server did not bring have OIDs from this on (FirstNormalObjectId). */
export const FIRST_OWN_OID = 16_384

/** What facts are asked for. */
export interface Question {
  /** Named by the statement, or by functions that it calls. */
  readonly names: readonly Name[]
  /** Named by the definitions of views and policies: what these call by which name; some are system relations, of which no dependency tells. */
  readonly inside?: readonly Name[]
  /** All that may run. */
  readonly mentions?: readonly Mentions[]
  /** What runs on the word of a function's author: its operators and attributes do not count. */
  readonly trusted?: readonly Mentions[]
  /** Type OIDs of the statement's parameters. */
  readonly parameterTypes?: readonly number[]
}

/**
 * Asks for the relations that a statement reads, also through views and policies, for what may run when the mentions are evaluated, and
 * for the types that these name.
 */
export async function loadFacts(ask: Ask, question: Question): Promise<Facts> {
  const { names, inside = [], mentions = [], trusted = [], parameterTypes = [] } = question
  const all = [...mentions, ...trusted]
  const functions = all.flatMap((each) => each.functions)
  const answer = JSON.parse(
    await ask(FACTS, [
      names.map(quoted),
      functions.map((each) => each.name),
      functions.flatMap((each) => each.schema ?? []),
      mentions.flatMap((each) => each.operators),
      mentions.flatMap((each) => each.attributes),
      all.flatMap((each) => each.types.filter(({ schema }) => schema !== 'pg_catalog').map(quoted)),
      parameterTypes.filter((type) => type >= FIRST_OWN_OID),
      inside.map(quoted),
      mentions.flatMap((each) => each.valueAttributes),
    ]),
  ) as {
    read: { isCatalogFirst: boolean; relations: (Relation & { names: string[] })[] | null }
    run: { functions: FunctionFact[] | null; hasUnknownCode: boolean }
    types: (NamedType & { name: string | null; type: number; isPlain: boolean })[] | null
  }
  const relations = answer.read.relations ?? []
  const named = new Map(relations.flatMap((relation) => relation.names.map((name) => [name, relation] as const)))
  const { isCatalogFirst } = answer.read
  const known = (answer.types ?? []).filter(({ isPlain }) => isPlain)
  const types = new Map(known.flatMap(({ name, ...type }) => (name === null ? [] : [[name, type]])))
  const bases = new Map(known.flatMap(({ name, type, oid }) => (name === null ? [[type, oid]] : [])))
  return { named, relations, types, bases, isCatalogFirst, ...answer.run, functions: answer.run.functions ?? [] }
}

/**
 * From each relation that the query names to all that reading it reads. pg_depend has what views and policies mention, except
 * system relations; those are found in the definitions' text. Children and partitions need not be named: the log tells of their
 * rows under their parents' names too.
 */
const RELATIONS = `
with recursive asked as (
  select name, pg_catalog.to_regclass(name)::oid as oid, via from (
    select name, 'query' from unnest($1::text[]) as n(name) union select name, 'inside' from unnest($8::text[]) as n(name)) as n(name, via)
), reached(oid, via) as (
  select oid, via from asked where oid is not null
  union
  select e.oid, e.via from reached r, lateral (
    select d.refobjid, 'view' from pg_catalog.pg_rewrite w join pg_catalog.pg_depend d
        on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
      join pg_catalog.pg_class v on v.oid = w.ev_class and v.relkind = 'v'
      where w.ev_class = r.oid and d.refobjid <> r.oid
    union all
    select d.refobjid, 'policy' from pg_catalog.pg_policy p join pg_catalog.pg_depend d
        on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
      where p.polrelid = r.oid and d.refobjid <> r.oid and (r.via <> 'query' or pg_catalog.row_security_active(r.oid))
  ) as e(oid, via)
), relation as (
  select c.*, n.nspname,
    coalesce((select json_agg(distinct via) from reached where reached.oid = c.oid and via <> 'inside'), '["view"]') as via,
    exists (select from reached where reached.oid = c.oid and via = 'query') as is_named
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  -- Of an array the planner expects ten rows, of a query hundreds: then it would compile the whole (JIT), which takes 90 ms.
  where c.oid = any(array(select oid from reached))
), folded as (
  select t.oid, d.refobjid as extension from pg_catalog.pg_type t join pg_catalog.pg_depend d
      on d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass
    join pg_catalog.pg_extension e on e.oid = d.refobjid and e.extname = 'citext' where t.typname = 'citext'
), own as materialized (
  select o.oprname as name, o.oprleft as "left", o.oprright as "right" from pg_catalog.pg_operator o
  where o.oprname in ('=', '<', '<=', '>', '>=', '<>') and o.oprnamespace <> 'pg_catalog'::regnamespace
    and not exists (select from folded join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_operator'::regclass
      and d.objid = o.oid and d.deptype = 'e' and d.refobjid = folded.extension)
), bytewise as materialized (
  select l.oid from pg_catalog.pg_collation l, (select to_jsonb(d) as fact from pg_catalog.pg_database d where d.datname = current_database()) d
  where getdatabaseencoding() = 'UTF8' and case when l.oid = 100
    then d.fact->>'datlocprovider' = 'b' or (coalesce(d.fact->>'datlocprovider', 'c') = 'c' and d.fact->>'datcollate' in ('C', 'POSIX'))
    else l.collprovider = 'b' or (l.collprovider = 'c' and l.collcollate in ('C', 'POSIX')) end
)
select json_build_object(
  'isCatalogFirst', (select s from unnest(pg_catalog.current_schemas(true)) with ordinality as p(s, i)
     where s not like 'pg\\_temp%' order by i limit 1) = 'pg_catalog',
  'relations', json_agg(json_build_object(
    'oid', c.oid::int8,
    'names', coalesce((select json_agg(distinct name) from asked where asked.oid = c.oid), '[]'),
    'table', quote_ident(c.nspname) || '.' || quote_ident(c.relname),
    'kind', c.relkind, 'persistence', c.relpersistence,
    'isSystem', c.nspname in ('pg_catalog', 'information_schema', 'pg_toast'),
    'isRowSecured', c.relkind in ('r', 'p') and pg_catalog.row_security_active(c.oid),
    'hasPolicies', c.relrowsecurity,
    'policyColumns', case when c.relkind in ('r', 'p') and pg_catalog.row_security_active(c.oid) then coalesce((
      select json_agg(distinct a.attname) from pg_catalog.pg_policy p
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid <> 0
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
      where p.polrelid = c.oid), '[]') end,
    'isReadable', not c.relrowsecurity and has_table_privilege(c.oid, 'select'),
    'via', c.via,
    'columns', case when c.relkind in ('r', 'p') then (
      select json_agg(json_build_object('number', a.attnum, 'name', a.attname, 'type', t.oid::int8, 'modifier', b.modifier,
        'kind', t.typtype, 'labels', case when t.typtype = 'e' then (
          select json_agg(l.enumlabel order by l.enumsortorder) from pg_catalog.pg_enum l where l.enumtypid = t.oid) end, 'arrayType', t.typarray::int8, 'collation', a.attcollation::int8, 'isGenerated', a.attgenerated <> '', 'isRequired', a.attnotnull,
        'isDeterministic', coalesce((select l.collisdeterministic from pg_catalog.pg_collation l where l.oid = a.attcollation), true),
        'isBytewise', a.attcollation in (select oid from bytewise), 'isFolded', t.oid in (select oid from folded),
        'hasOwnEquality', exists (select from own where name = '=' and ("left" in (a.atttypid, t.oid) or "right" in (a.atttypid, t.oid))),
        'hasOwnOrder', exists (select from own where name <> '=' and ("left" in (a.atttypid, t.oid) or "right" in (a.atttypid, t.oid)))
        ) order by a.attnum)
      from pg_catalog.pg_attribute a, lateral (
        with recursive below as (
          select a.atttypid as oid, a.atttypmod as modifier, 0 as depth
          union all
          select d.typbasetype, case when d.typtypmod >= 0 then d.typtypmod else modifier end, depth + 1
          from below join pg_catalog.pg_type d on d.oid = below.oid and d.typtype = 'd'
        ) select oid, modifier from below order by depth desc limit 1
      ) b join pg_catalog.pg_type t on t.oid = b.oid
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) else '[]' end,
    'keys', coalesce((select json_agg(a.attname) from pg_catalog.pg_index i join pg_catalog.pg_attribute a
      on a.attrelid = c.oid and a.attnum = any(i.indkey) where i.indrelid = c.oid and i.indisprimary), '[]'),
    'isSmall', c.relkind in ('r', 'p') and coalesce((select sum(pg_catalog.pg_relation_size(p.oid))
      from (select c.oid where c.relkind = 'r' union all select relid from pg_catalog.pg_partition_tree(c.oid) where c.relkind = 'p') p (oid)) <= 65536, false),
    'definitions', case when c.nspname in ('pg_catalog', 'information_schema') then '[]' when c.relkind = 'v'
      then json_build_array(pg_catalog.pg_get_viewdef(c.oid))
      else coalesce((select json_agg('select ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid)) from pg_catalog.pg_policy p
        where p.polrelid = c.oid and p.polqual is not null and (c.via::text <> '["query"]' or pg_catalog.row_security_active(c.oid))), '[]') end
  )))
from relation c`

/**
 * What the values of named types, and of parameters, are compared as. A domain with a length would cut them, and one with a collation of its
 * own may decide how the other side is compared: those are not plain.
 */
const TYPES = `
with recursive named as (
  select name, pg_catalog.to_regtype(name)::oid as oid from unnest($6::text[]) as n(name)
  union all select null, oid from unnest($7::oid[]) as n(oid)
), element as (
  select n.name, n.oid, e.oid is not null as is_array, coalesce(e.oid, t.oid) as element
  from named n join pg_catalog.pg_type t on t.oid = n.oid left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid
), below as (
  select element, element as oid, true as is_plain, 0 as depth from (select distinct element from element) each
  union all
  select b.element, d.typbasetype, b.is_plain and d.typtypmod < 0 and d.typcollation = t.typcollation, b.depth + 1
  from below b join pg_catalog.pg_type d on d.oid = b.oid and d.typtype = 'd' join pg_catalog.pg_type t on t.oid = d.typbasetype
)
select json_agg(json_build_object('name', e.name, 'type', e.oid::int8,
  'oid', case when e.is_array then t.typarray else t.oid end::int8, 'kind', t.typtype, 'isPlain', b.is_plain))
from element e, lateral (select * from below where below.element = e.element order by depth desc limit 1) b
  join pg_catalog.pg_type t on t.oid = b.oid`

const FACTS = `select json_build_object('read', (${RELATIONS}), 'run', (${FUNCTIONS}), 'types', (${TYPES}))::text`
