import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'
import { maxSilenceMs, recoverMs, shared } from './setup.js'

const followers = (load) => load.alive.filter(({ status }) => status.log.role === 'follower')
const gaps = (load) => load.sum(({ counters }) => counters.gaps)
const resumes = (load) => load.sum(({ counters }) => counters.resumes)

export const cutStream = {
  title: 'F6: the connections to Redis are cut, again and again, and the stream once loses what a follower needs',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, scale) {
    const { isSmoke } = scale
    await load.recovered()
    const before = { gaps: gaps(load), resumes: resumes(load) }
    const cuts = isSmoke ? 5 : 100
    for (let cut = 0; cut < cuts; cut++) {
      await load.redis.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await sleep(isSmoke ? 200 : 2_000)
    }
    await load.recovered(recoverMs(scale))
    report.figure('cuts', cuts)
    report.figure('times that a process went on without a gap', resumes(load) - before.resumes)
    report.goal('gaps', gaps(load) - before.gaps, 0)
    // Followers stand still, and what they did not read is gone when they wake.
    const still = followers(load)
    const expected = still.length
    const known = gaps(load)
    for (const { child } of still) load.freeze(child.pid)
    await sleep(isSmoke ? 800 : 3_000)
    await load.redis.admin.xtrim('tidemark:relay', 'MAXLEN', 0)
    load.thaw()
    const at = now()
    await load.until(() => gaps(load) - known >= expected, 'each follower found the gap')
    report.goal('the last follower found that it missed something, ms', now() - at, recoverMs(scale))
    await load.recovered()
    report.goal('gaps that were found, of those there were', (gaps(load) - known) / expected, 1, 'least')
  },
}
