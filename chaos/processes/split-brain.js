import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'
import { SLOT } from '../load.js'
import { maxSilenceMs, recoverMs, shared } from './setup.js'

const THE_SLOT = `from pg_replication_slots where slot_name = '${SLOT}'`
const isFree = async (load) => !(await load.admin(`select active ${THE_SLOT}`))[0].active
const leaders = (load) => load.alive.filter(({ status }) => status.log.role === 'leader')
const resets = (load) => load.sum(({ l2 }) => l2.counters.resets)

export const splitBrain = {
  title: 'F19: the leader stands still, another one leads, and it wakes up',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, scale) {
    const frozenMs = scale.isSmoke ? 2_500 : 30_000
    await load.recovered()
    await load.until(() => leaders(load).length === 1, 'one process leads')
    const [old] = leaders(load)
    const before = resets(load)
    const at = now()
    load.freeze(old.child.pid)
    try {
      // The database lets the slot go when it has not heard of its holder for wal_sender_timeout, 10 s. In short that is not waited for.
      const [{ pid }] = await load.admin(`select active_pid as pid ${THE_SLOT}`)
      if (scale.isSmoke) await load.admin(`select pg_terminate_backend(${pid}, 5000)`)
      else await load.until(async () => await isFree(load), 'the slot is free')
      const freeAt = now()
      const isLed = () => leaders(load).some((node) => node !== old && node.status.at > at)
      await load.until(isLed, 'another process leads')
      report.goal(
        'another process led, from when the slot was free, ms',
        now() - freeAt,
        scale.isSmoke ? 15_000 : 3_000,
      )
      await sleep(Math.max(0, frozenMs - (now() - at)))
    } finally {
      load.thaw()
    }
    const thawedAt = now()
    await load.until(() => leaders(load).length === 1 && old.status.at > thawedAt, 'one process leads')
    await load.recovered()
    report.goal('one leads, and all are current, after it woke, ms', now() - thawedAt, recoverMs(scale))
    await load.run()
    await sleep(scale.isSmoke ? 500 : 3_000)
    // In short maxSilence is so short that L2 is not waited for on a busy machine.
    if (scale.isSmoke) report.figure('times that L2 began anew', resets(load) - before)
    else report.goal('times that L2 began anew', resets(load) - before, 0)
  },
}
