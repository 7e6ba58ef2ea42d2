import { copyFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'
import { l2Answers } from './l2-answers.js'
import { maxSilenceMs, recoverMs, shared } from './setup.js'

/** Redis is killed, and comes back. @param prepare  resolves with what is to be done while it is away */
function restarted(title, prepare) {
  return {
    title,
    staleMs: maxSilenceMs,
    setup: shared,
    isTogether: true,
    async run(load, report, scale) {
      const { isSmoke } = scale
      for (let round = 0; round < (isSmoke ? 1 : 5); round++) {
        await l2Answers(load)
        const change = await prepare(load, isSmoke)
        await load.redis.kill()
        await sleep(isSmoke ? 200 : 1_000)
        change()
        const at = now()
        await load.redis.start()
        await load.recovered()
        report.goal('every process is current again, from when Redis was up, ms', now() - at, recoverMs(scale))
        await l2Answers(load)
        report.goal('L2 answers again, ms', now() - at, recoverMs(scale))
        // The load goes on: what L2 has been filled with since is judged at the end.
        await sleep(4_000)
      }
    },
  }
}

export const restartEmpty = restarted('F3: Redis is killed and comes back empty', async () => () => {})

export const restartOlder = restarted(
  'F3: Redis is killed and comes back with an older dump',
  async (load, isSmoke) => {
    await load.redis.admin.save()
    const older = `${load.redis.dump}.older`
    copyFileSync(load.redis.dump, older)
    // Much of what is in it is changed meanwhile.
    await sleep(isSmoke ? 1_500 : 10_000)
    return () => copyFileSync(older, load.redis.dump)
  },
)
