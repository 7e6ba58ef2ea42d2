import { doctor } from '@tidemark/postgres'
import { now } from '../clock.js'

/** What the views of a run show beside the rows: how often they were replaced. */
const view = (mark) => `create or replace view marked as select id, ${mark}::bigint as mark from items`

const schema = `
  ${view(0)};
  create type mood as enum ('fine');
  create table parted (id int, at int, primary key (id, at)) partition by range (at);
  create table part1 partition of parted for values from (0) to (10)`

/** Another table in the place of the one that is read and written, with the same rows. Locks are taken in the order of those who read. */
const replaced = (n) => `begin;
  lock marked, items in access exclusive mode;
  create table items_new (like items including all);
  insert into items_new select id, tenant, version, body from items;
  alter table items rename to items_old_${n};
  alter table items_new rename to items;
  ${view(n)};
  drop table items_old_${n};
  commit`

/** Each is run under load; what it does to the answers is judged by the reads that follow. */
const scripts = [
  () => 'alter table items add column d1 int',
  () => 'alter table items add column d2 int default 7',
  () => 'alter table items rename column d1 to d3',
  () => 'alter table items alter column d3 type bigint',
  () => 'alter table items drop column d2',
  () => 'create index items_tenant on items (tenant)',
  () => 'drop index items_tenant',
  (n) => view(n),
  () => 'alter table items replica identity full',
  () => 'begin; alter table items rename to things; alter table things rename to items; commit',
  (n) => view(n),
  () => 'create table part2 partition of parted for values from (10) to (20); insert into parted values (1, 15)',
  () => 'alter table parted detach partition part1; drop table part1',
  () => "alter type mood add value 'better'",
  () => 'alter table items replica identity default',
  () => 'alter table items enable row level security; alter table items disable row level security',
  () => 'create policy all_of_them on items using (true); drop policy all_of_them on items',
  () =>
    'begin; lock items in access exclusive mode; create temp table copy on commit drop as select * from items; truncate items; insert into items select * from copy; commit',
  () => 'alter table items drop column d3',
  (n) => replaced(n),
  (n) => view(n),
]

/** How soon every change of definitions must show. */
function changed(title, staleMs, setUp) {
  return {
    title,
    staleMs,
    setup: () => ({ schema, marks: true }),
    async run(load, report, { isSmoke }) {
      await setUp(load)
      const times = isSmoke ? 1 : 3
      let run = 0
      for (let time = 0; time < times; time++) {
        for (const script of scripts) {
          const mark = ++run
          const text = script(mark)
          // As migrations do, it waits for locks; the rows are written meanwhile.
          await load.admin(text.includes('part1') && time > 0 ? 'select 1' : time > 0 ? again(text) : text)
          if (text.includes('view marked')) load.judge.tell({ do: 'acks', acks: [['marked', mark, now()]] })
          await load.until(() => load.alive.every(({ status }) => status.at > now() - 1_000), 'every process lives')
        }
      }
      report.figure('scripts that were run', run)
      report.goal('processes that ended', load.nodes.length - load.alive.length, 0)
      await load.recovered()
    },
  }
}

/** In a second round what the first one made is there. */
function again(text) {
  if (text.includes('part2')) return 'insert into parted values (2, 15) on conflict do nothing'
  return text.replace('add value', 'add value if not exists')
}

export const byLooking = changed('F15: definitions change, seen by the look at the catalogue', 5_000, async () => {})

export const byTriggers = changed('F15: definitions change, told by event triggers', 1_000, async (load) => {
  const finding = (await doctor(load.url)).find(({ code }) => code === 'ddl-triggers')
  await load.admin(finding.fix)
})
