import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'
import { SLOT } from '../load.js'

export const takeover = {
  title: 'The holder of the shared slot is killed with -9',
  staleMs: 5_000,
  setup: () => ({ options: { slot: SLOT } }),
  async run(load, report, { isSmoke }) {
    const holder = () => load.alive.find(({ status }) => status?.log.slot?.isHeld)
    const took = []
    for (let round = 0; round < (isSmoke ? 1 : 5); round++) {
      await load.until(() => holder() !== undefined, 'a process holds the slot')
      const [{ pid: before }] = await load.admin(
        `select active_pid as pid from pg_replication_slots where slot_name = '${SLOT}'`,
      )
      const starts = load.starts.length
      const at = now()
      await load.killNode(holder())
      await load.until(async () => {
        const [row] = await load.admin(`select active_pid as pid from pg_replication_slots where slot_name = '${SLOT}'`)
        return row !== undefined && row.pid !== null && row.pid !== before
      }, 'another process holds the slot')
      took.push(now() - at)
      report.goal('taken over by another process, ms', took.at(-1), 3_000)
      report.goal('processes that had to start from empty for it', load.starts.length - starts, 0)
      const { child } = load.addNode()
      await child.ready
      await load.run()
      await sleep(isSmoke ? 200 : 2_000)
    }
    await load.recovered()
  },
}
