import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'
import { RedisLine } from '../redis-line.js'
import { l2Answers } from './l2-answers.js'
import { maxSilenceMs, recoverMs, shared } from './setup.js'

/** The replica has what the primary has. */
async function replicates(load, primary, replica) {
  const isUp = async () => (await replica.admin.info('replication')).includes('master_link_status:up')
  await load.until(isUp, 'the replica follows')
  const token = `${now()}`
  await primary.admin.set('chaos:probe', token)
  await load.until(async () => (await replica.admin.get('chaos:probe')) === token, 'the replica has what was written')
}

/** A replica falls behind, and takes over. Returns it. */
async function promoted(load, lagMs) {
  const primary = load.redis
  const link = await RedisLine.to(primary.port)
  // Not by its settings: it may be started again later, as the primary that it is then.
  const replica = await load.addRedis()
  await replica.admin.replicaof('127.0.0.1', link.port)
  await replicates(load, primary, replica)
  await l2Answers(load)
  link.silence()
  await sleep(lagMs)
  await replica.admin.replicaof('NO', 'ONE')
  await link.end()
  return replica
}

export const failover = {
  title: 'F4: a replica that lags takes over from Redis',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, scale) {
    const { isSmoke } = scale
    for (let round = 0; round < (isSmoke ? 1 : 3); round++) {
      const primary = load.redis
      const replica = await promoted(load, isSmoke ? 1_500 : 5_000)
      load.redis = replica
      const at = now()
      load.line.leadTo(replica.port)
      await load.recovered()
      report.goal('every process is current again, ms', now() - at, recoverMs(scale))
      await l2Answers(load)
      report.goal('L2 answers again, ms', now() - at, recoverMs(scale))
      // The one before is a replica now: whoever still reaches it may read, and is refused what it writes.
      await primary.admin.replicaof('127.0.0.1', replica.port)
      await replicates(load, replica, primary)
      const refused = () => load.sum(({ l2 }) => l2.counters.failures.error ?? 0)
      const before = refused()
      load.line.leadTo(primary.port)
      await load.until(() => refused() > before, 'a write was refused')
      const backAt = now()
      load.line.leadTo(replica.port)
      await load.recovered()
      await l2Answers(load)
      report.goal(
        'from a primary that is a replica now (READONLY) back to the one that is, ms',
        now() - backAt,
        recoverMs(scale),
      )
      await primary.drop()
    }
  },
}
