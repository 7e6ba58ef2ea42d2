import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'

const DETECT_MS = 5_000
const SLOTS = 'from pg_replication_slots where database = current_database()'

/** Every process must notice within 5 s, and start from empty. */
async function noticed(load, report, at) {
  await load.until(
    () => load.alive.every(({ number }) => load.losses.some((loss) => loss.process === number && loss.at >= at)),
    'noticed',
  )
  const last = Math.max(...load.losses.filter((loss) => loss.at >= at).map((loss) => loss.at - at))
  report.goal('noticed by the last process, ms', last, DETECT_MS)
  await load.recovered()
  report.figure('every process keeps again, ms', now() - at)
}

export const dropSlots = {
  title: 'F12: slots are dropped',
  staleMs: 10_000,
  async run(load, report) {
    const at = now()
    await load.admin(async (client) => {
      const { rows } = await client.query(`select slot_name as name, active_pid as pid ${SLOTS}`)
      for (const { name, pid } of rows) {
        if (pid !== null) await client.query('select pg_terminate_backend($1, 5000)', [pid])
        // A temporary one is gone with its connection.
        await client.query(`select pg_drop_replication_slot(slot_name) ${SLOTS} and slot_name = $1 and not active`, [
          name,
        ])
      }
    })
    await noticed(load, report, at)
  },
}

export const loseSlots = {
  title: 'F12: slots lose their WAL (max_slot_wal_keep_size)',
  staleMs: 10_000,
  setup: () => ({
    settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB', wal_keep_size: '0' },
  }),
  async run(load, report, { isSmoke }) {
    // Frozen walsenders acknowledge nothing, so the WAL that their slots need goes.
    const pids = await load.admin(`select active_pid as pid ${SLOTS} and active`)
    let at
    for (const { pid } of pids) load.freeze(pid)
    let checkpoint
    try {
      await load.admin(async (client) => {
        for (let i = 0; i < (isSmoke ? 4 : 8); i++) {
          await client.query('select pg_logical_emit_message(false, $$fill$$, repeat($$x$$, 12000000))')
          await client.query('select pg_switch_wal()')
        }
      })
      // It ends the walsenders, which a frozen one hears of when it is thawed.
      at = now()
      checkpoint = load.admin('checkpoint')
      await sleep(500)
    } finally {
      load.thaw()
    }
    await checkpoint
    await noticed(load, report, at)
  },
}

export const dropPublication = {
  title: 'F12: the publication is dropped',
  staleMs: 10_000,
  async run(load, report) {
    const at = now()
    await load.admin('drop publication tidemark')
    await noticed(load, report, at)
  },
}
