import { setTimeout as sleep } from 'node:timers/promises'
import { l2Answers } from './l2-answers.js'
import { maxSilenceMs, shared } from './setup.js'

const failures = (load) =>
  load.sum(({ l2 }) => (l2.counters.failures.error ?? 0) + (l2.counters.refused.unwritable ?? 0) + l2.counters.resets)

/** Redis has less memory than is written: it refuses, or throws out what it likes. */
function full(title, policies) {
  return {
    title,
    staleMs: maxSilenceMs,
    setup: shared,
    isTogether: true,
    async run(load, report, { isSmoke }) {
      for (const policy of isSmoke ? policies.slice(0, 1) : policies) {
        await l2Answers(load)
        const { admin } = load.redis
        await admin.config('SET', 'maxmemory-policy', policy)
        const used = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))[1])
        const { failed, evicted } = { failed: failures(load), evicted: await evictedBy(admin) }
        // Below what is there, so that it has to do something at once.
        await admin.config('SET', 'maxmemory', `${Math.floor(used * 0.9)}`)
        await sleep(isSmoke ? 1_500 : 10_000)
        report.figure(`${policy}: what L2 counts of it (errors, refusals, beginnings)`, failures(load) - failed)
        report.figure(`${policy}: keys that Redis threw out`, (await evictedBy(admin)) - evicted)
        report.goal(`${policy}: either`, failures(load) - failed + (await evictedBy(admin)) - evicted, 1, 'least')
        await admin.config('SET', 'maxmemory', '0')
        await load.recovered()
        await l2Answers(load)
      }
    },
  }
}

async function evictedBy(admin) {
  return Number(/evicted_keys:(\d+)/.exec(await admin.info('stats'))[1])
}

export const outOfMemory = full('F8: Redis is out of memory, and refuses writes', ['noeviction'])

export const evicting = full('F8: Redis is out of memory, and throws out what it likes', [
  'allkeys-random',
  'allkeys-lru',
  'allkeys-lfu',
  'volatile-ttl',
  'volatile-random',
])
