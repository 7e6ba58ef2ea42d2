import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'

const RSS_MAX = 200 * 2 ** 20
/** An answer that is older than this counts as late. */
const LATE_MS = 1_000

/** What a program would keep of the table that the large transactions write. */
const COUNT = 'select count(*) from big where id <= 10'

export const large = {
  title: 'F16: large transactions, and long ones',
  staleMs: 5_000,
  setup: ({ isSmoke }) => ({
    schema: `
      create table big (id int primary key, n int not null);
      insert into big select i, 0 from generate_series(1, ${isSmoke ? 50_000 : 1_000_000}) i;
      create table aside (id int primary key, n int not null);
      insert into aside values (1, 0)`,
  }),
  async run(load, report, { isSmoke }) {
    const at = now()
    const rss = () => load.alive.map(({ status }) => status.rss)
    const before = rss()
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, ...rss().map((bytes, i) => bytes - before[i]))
    }, 50)
    const ids = isSmoke ? 5_000 : 100_000
    try {
      await load.admin(async (client) => {
        // Open from the first to the last.
        await client.query('begin; update aside set n = n + 1')
        const keeper = load.nodes[0].child
        const isKept = async () => (await keeper.ask({ do: 'entry', text: COUNT })).from === 'l1'
        await load.until(isKept, 'an entry of the large table is kept')
        await load.admin('begin; update big set n = n + 1; rollback')
        await told(load)
        // While it is read, the process may not be current.
        await load.recovered()
        report.goal('entries that a large rollback dropped', Number(!(await isKept())), 0)
        await load.admin('update big set n = n + 1')
        await load.admin(`do $$ begin
          for i in 1..${ids} loop
            begin update big set n = n + 1 where id = i; exception when others then null; end;
          end loop; end $$`)
        await told(load)
        await sleep(isSmoke ? 500 : 60_000)
        await client.query('commit')
      })
    } finally {
      clearInterval(watch)
    }
    await load.recovered()
    report.figure('rows of the large transaction', isSmoke ? 50_000 : 1_000_000)
    report.figure('savepoints of another', ids)
    report.figure('the whole took, ms', now() - at)
    report.goal('a process grew by, at most, MB', most / 2 ** 20, RSS_MAX / 2 ** 20)
    const late = await load.judged({ staleMs: LATE_MS, from: at, to: now() })
    const share = late.stale / late.reads
    // A short run is over before a process has compiled what it runs.
    if (isSmoke) report.figure('share of answers that were older than 1 s', share)
    else report.goal('share of answers that were older than 1 s', share, 0.01)
  },
}

/** Waits until every process has applied all that was committed before. */
async function told(load) {
  const [{ lsn }] = await load.admin('select pg_current_wal_insert_lsn() as lsn')
  const reached = async ({ status }) => {
    const position = status.position?.split(':').at(-1) ?? '0/0'
    const [{ is }] = await load.admin(`select '${position}'::pg_lsn >= '${lsn}'::pg_lsn as is`)
    return is
  }
  await load.until(async () => {
    for (const node of load.alive) if (!(await reached(node))) return false
    return true
  }, 'all is applied')
}
