/** A type, as far as a value that is passed on goes. */
export interface TypeFact {
  /** Of a domain, that of the type below it. */
  readonly oid: number
  readonly isDomain: boolean
  /** How a cast names it, by name and OID; of an array, its elements' type. */
  readonly schema: string
  readonly name: string
  readonly element: number
  readonly isArray: boolean
  /** Its collation; 0 if its values have none. */
  readonly collation: number
}

export interface ResultColumn extends Pick<TypeFact, 'oid' | 'collation'> {
  /** null: it is called as the function is in FROM. */
  readonly name: string | null
  readonly modifier: number
}

/** What a call of a function of one's own runs. */
export interface FunctionCode {
  /** Why it is not looked into: what the function is; null if nothing of this kind stands against it. */
  readonly obstacle: string | null
  /** CREATE FUNCTION …, where there is no obstacle. */
  readonly definition: string | null
  /** What may be passed, in order. */
  readonly parameters: readonly { readonly name: string | null; readonly type: TypeFact }[]
  /** It runs under a search path of its own, which has only what is built in: a name without a schema does not mean what it means to the caller. */
  readonly hasOwnPath: boolean
  readonly isSet: boolean
  /** It answers rows of several columns, not values. */
  readonly isRow: boolean
  readonly columns: readonly ResultColumn[]
  /** The table or view whose rows it says that it answers, `schema.name`: its columns name those of the result. null: none. */
  readonly rowsOf: string | null
}

export interface FunctionFact {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `schema.name()`, quoted: the name under which entries depend on it. */
  readonly called: string
  /** A call without a schema may mean it. */
  readonly isInPath: boolean
  readonly volatility: 'i' | 's' | 'v'
  readonly isAggregate: boolean
  /** How many arguments a call may have. */
  readonly argsMin: number
  readonly argsMax: number
  /** How many of the last arguments have a default, which may be any expression. */
  readonly defaults: number
  /** null: it is built in. */
  readonly code: FunctionCode | null
}

/** The type below a domain. */
const below = (type: string): string => `case when ${type}.typtype = 'd' then ${type}.typbasetype else ${type}.oid end`

/** Its only setting is a search path in which there is nothing but what is built in: `set search_path = ''`, as linters ask for. */
const HAS_OWN_PATH = `(cardinality(proconfig) = 1 and proconfig[1] in ('search_path=""', 'search_path=pg_catalog', 'search_path=pg_catalog, pg_temp'))`

/**
 * A function is looked into if it is written in SQL and runs as the query does: as the same role, under the same settings. Types that its
 * calls decide, and names that may mean a cast, are left aside.
 */
const OBSTACLE = `case
    when prokind <> 'f' then 'which is no plain function'
    when lanname <> 'sql' then 'which is written in ' || lanname
    when provolatile = 'v' then 'which is VOLATILE'
    when prosecdef then 'which is SECURITY DEFINER'
    when proconfig is not null and not ${HAS_OWN_PATH} then 'which has settings of its own'
    when provariadic <> 0 then 'which is VARIADIC'
    when exists (select from pg_catalog.pg_type t where t.typtype = 'p' and (t.oid = any(proargtypes::oid[])
      or t.oid = prorettype and not (t.oid = 'record'::regtype and proargmodes && '{o,b,t}'))) then 'which has types that its calls decide'
    when exists (select from pg_catalog.pg_type d join pg_catalog.pg_type t on t.oid = d.typbasetype
      where d.oid = prorettype and t.typtype = 'd') then 'which answers a domain over a domain'
    when exists (select from pg_catalog.pg_type t where t.typname = proname and t.typrelid = 0) then 'which is called like a type'
  end`

const CODE = `json_build_object(
    'obstacle', obstacle,
    'definition', case when obstacle is null then pg_catalog.pg_get_functiondef(code.oid) end,
    'hasOwnPath', proconfig is not null,
    'isSet', proretset,
    'isRow', (select b.typtype = 'c' or b.oid = 'record'::regtype
      from pg_catalog.pg_type r join pg_catalog.pg_type b on b.oid = ${below('r')} where r.oid = prorettype),
    'rowsOf', (select pg_catalog.format('%I.%I', m.nspname, c.relname) from pg_catalog.pg_type r
      join pg_catalog.pg_type b on b.oid = ${below('r')} join pg_catalog.pg_class c on c.oid = b.typrelid and c.relkind <> 'c'
      join pg_catalog.pg_namespace m on m.oid = c.relnamespace where r.oid = prorettype),
    'parameters', (select coalesce(json_agg(json_build_object('name', nullif(a.name, ''), 'type', json_build_object(
        'oid', t.oid::int8, 'isDomain', t.typtype = 'd', 'schema', n.nspname, 'name', e.typname, 'element', e.oid::int8,
        'isArray', e.oid <> t.oid, 'collation', t.typcollation::int8)) order by a.i), '[]')
      from (
        select case when proallargtypes is null then proargtypes[i - 1] else proallargtypes[i] end, proargnames[i], proargmodes[i], i
        from pg_catalog.generate_series(1, coalesce(cardinality(proallargtypes), pronargs::int)) i
      ) as a(type, name, mode, i)
      join pg_catalog.pg_type t on t.oid = a.type
      join pg_catalog.pg_type e on e.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
      join pg_catalog.pg_namespace n on n.oid = e.typnamespace
      where coalesce(a.mode, 'i') in ('i', 'b', 'v')),
    'columns', (select coalesce(json_agg(json_build_object('name', nullif(c.name, ''), 'oid', (${below('t')})::int8,
        'modifier', case when t.typtype = 'd' and t.typtypmod >= 0 then t.typtypmod else c.modifier end,
        'collation', coalesce(c.coll, t.typcollation)::int8) order by c.i), '[]')
      from (
        select proargnames[i], proallargtypes[i], -1, null, i from pg_catalog.generate_series(1, cardinality(proallargtypes)) i
        where proargmodes[i] in ('o', 'b', 't')
        union all
        select a.attname, coalesce(a.atttypid, r.oid), coalesce(a.atttypmod, -1), a.attcollation, coalesce(a.attnum, 1)
        from pg_catalog.pg_type r join pg_catalog.pg_type b on b.oid = ${below('r')}
          left join pg_catalog.pg_attribute a on a.attrelid = b.typrelid and b.typtype = 'c' and a.attnum > 0 and not a.attisdropped
        where r.oid = prorettype and not coalesce(proargmodes && '{o,b,t}', false)
      ) as c(name, type, modifier, coll, i) join pg_catalog.pg_type t on t.oid = c.type)
  )`

/**
 * The SQL of what may run; as its parameters: 2 names of functions, 3 their schemas, 4 operators, 5 attributes, 9 attributes of what may be no row.
 *
 * A function's volatility is the worst of what runs: for an aggregate, of its support functions. Functions that the statement
 * does not name, but runs, are looked at as a whole: its operators, attribute notation, and casts (which need no mention).
 */
export const FUNCTIONS = `
with code as (
  select p.oid, n.nspname, p.proname, p.pronargs, p.proargtypes, p.provolatile, p.pronargdefaults, p.provariadic
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
), unknown as (select oid from code where provolatile <> 'i' and nspname <> 'pg_catalog')
select json_build_object(
  'functions', (select json_agg(json_build_object('oid', oid::int8, 'schema', nspname, 'name', proname, 'isAggregate', prokind = 'a',
      'called', pg_catalog.format('%I.%I()', nspname, proname), 'isInPath', nspname = any(pg_catalog.current_schemas(true)),
      'argsMin', pronargs - pronargdefaults - case when provariadic = 0 then 0 else 1 end, 'argsMax', case when provariadic = 0 then pronargs else 100 end,
      'defaults', pronargdefaults,
      'volatility', case when prokind = 'a' and exists (select from pg_catalog.pg_aggregate a, unknown u where a.aggfnoid = code.oid
        and u.oid in (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn))
        then 'v' else provolatile end,
      'code', case when nspname <> 'pg_catalog' then ${CODE} end))
    from (
      select p.*, n.nspname, l.lanname, ${OBSTACLE} as obstacle
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        join pg_catalog.pg_language l on l.oid = p.prolang where p.proname = any($2) offset 0
    ) as code where (nspname = any(pg_catalog.current_schemas(true)) or nspname = any($3))),
  'hasUnknownCode',
    exists (select from pg_catalog.pg_operator o where o.oprname = any($4) and o.oprnamespace <> 'pg_catalog'::regnamespace
      and o.oprcode in (select oid from unknown))
    or exists (select from code p join pg_catalog.pg_type t on t.oid = p.proargtypes[0] where p.pronargs >= 1
      and p.pronargs - p.pronargdefaults - case when p.provariadic = 0 then 0 else 1 end <= 1 and p.oid in (select oid from unknown) and (p.proname = any($5) and t.typtype in ('c', 'p') or p.proname = any($9)))
    or exists (select from pg_catalog.pg_cast c where c.castfunc in (select oid from unknown))
)`
