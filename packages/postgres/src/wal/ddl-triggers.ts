import { OWN_SCHEMA_SQL } from '../own-schema.js'
import type { SqlConnection } from './connection.js'
import { definitionsSql } from './definitions.js'
import { DDL_PREFIX, TOLD_VERSION } from './messages.js'

/** Event triggers tell by messages, which the log carries from this version on. */
export const TRIGGERS_VERSION = 140_000
/** More than this of definitions is not told one by one (a schema is renamed): then everything counts as touched. */
const CONTENT_MAX = 1_000_000

/**
 * What the triggers run: it writes how the objects that a command has touched are now, into the transaction of the command itself. So
 * what it touches is dropped at its own position, and not at all if it is rolled back.
 *
 * A partition that is detached is not named by the event, nor is what inherits a column: so all relations that recent transactions
 * wrote count, and all below them.
 */
const BODY = `
declare
  told_relations oid[];
  told_others oid[];
  told json;
  content bytea;
begin
  if tg_event = 'sql_drop' then
    select json_build_object('v', ${TOLD_VERSION}, 'd', '[]'::json, 'g', json_agg(json_build_array(d.kind, d.objid::int8))) into told
    from (
      select o.objid, case o.classid
          when 'pg_class'::regclass then 'relation' when 'pg_policy'::regclass then 'policy' when 'pg_proc'::regclass then 'function'
          when 'pg_type'::regclass then 'type' when 'pg_operator'::regclass then 'code' when 'pg_cast'::regclass then 'code'
          when 'pg_opclass'::regclass then 'code' when 'pg_collation'::regclass then 'code' end as kind
      from pg_event_trigger_dropped_objects() o where o.objsubid = 0 and not o.is_temporary
    ) d where d.kind is not null having count(*) > 0;
  else
    select array_agg(c.objid) filter (where c.classid = 'pg_class'::regclass), array_agg(c.objid) into told_relations, told_others
    from pg_event_trigger_ddl_commands() c where c.schema_name is distinct from 'pg_temp';
    if told_others is null then return; end if;
    with recursive family (oid) as (
      select r from unnest(told_relations) r
      union
      select c.oid from pg_class c where c.relnamespace = any (told_others)
      union
      select c.oid from pg_class c where c.oid >= 16384 and age(c.xmin) <= age(pg_current_xact_id()::xid)
      union
      select i.inhrelid from family f join pg_inherits i on i.inhparent = f.oid
    )
    select array_agg(oid) into told_relations from family;
    select json_build_object('v', ${TOLD_VERSION}, 'd', coalesce(json_agg(row_to_json(d)), '[]'), 'g', '[]'::json) into told
    from (${definitionsSql(TRIGGERS_VERSION, (kind, oid) => {
      if (kind === 'relation') return `${oid} = any (told_relations)`
      // Of a renamed schema the functions have other names too.
      if (kind === 'function') return `(${oid} = any (told_others) or pronamespace = any (told_others))`
      return kind === 'setting' || kind === 'role' || kind === 'index' ? 'false' : `${oid} = any (told_others)`
    })}) d;
  end if;
  if told is null then return; end if;
  content := convert_to('- ' || told, 'UTF8');
  if length(content) > ${CONTENT_MAX} then raise exception 'too long'; end if;
  perform pg_logical_emit_message(true, '${DDL_PREFIX}', content);
exception when others then
  -- A command never fails because of this: what it touched is not known then, so it counts as everything.
  perform pg_logical_emit_message(true, '${DDL_PREFIX}', '- {"v":${TOLD_VERSION},"e":"its event trigger failed"}'::bytea);
end`

/** Event triggers by the event. */
const TRIGGERS = { tidemark_ddl: 'ddl_command_end', tidemark_drop: 'sql_drop' } as const

/** Installs the triggers, or replaces those of another version. Run by a superuser, or a managed service's administrator. */
export const INSTALL_SQL = `${OWN_SCHEMA_SQL};
create or replace function tidemark.tell_ddl() returns event_trigger language plpgsql set search_path = pg_catalog as $tidemark$${BODY}
$tidemark$;
${Object.entries(TRIGGERS)
  .map(
    ([name, event]) => `drop event trigger if exists ${name};
create event trigger ${name} on ${event} execute function tidemark.tell_ddl();
alter event trigger ${name} enable always;`,
  )
  .join('\n')}`

/** Takes them away. */
export const UNINSTALL_SQL = `${Object.keys(TRIGGERS)
  .map((name) => `drop event trigger if exists ${name};`)
  .join('\n')}
drop function if exists tidemark.tell_ddl();`

/** installed: changes of definitions are told at their own position. other: of another version, or switched off. */
export type TriggersState = 'installed' | 'other' | 'missing'

export async function triggersState(sql: SqlConnection): Promise<TriggersState> {
  const [row] = await sql.rows<{ count: number; current: number }>(
    `select count(*)::int as count,
       count(*) filter (where t.evtenabled = 'A' and t.evttags is null and p.prosrc = $1 and p.proname = 'tell_ddl' and n.nspname = 'tidemark'
         and (t.evtname, t.evtevent) in (${Object.entries(TRIGGERS)
           .map(([name, event]) => `('${name}', '${event}')`)
           .join(', ')}))::int as current
     from pg_event_trigger t join pg_proc p on p.oid = t.evtfoid join pg_namespace n on n.oid = p.pronamespace
     where t.evtname = any ($2)`,
    [`${BODY}\n`, Object.keys(TRIGGERS)],
  )
  const { count, current } = row!
  return count === 0 ? 'missing' : current === Object.keys(TRIGGERS).length ? 'installed' : 'other'
}
