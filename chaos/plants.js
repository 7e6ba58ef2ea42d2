// Rules that can be left out, by name, so that it shows that the faults find it: PLANT=belief npm run chaos -- processes F3
import { rules as fenceRules } from '../packages/tidemark/dist/fence/fence.js'
import { beliefRules } from '../packages/tidemark/dist/l2/shared-tier.js'

/** What is wrong in the processes while it is planted. `tier` and `relay` get what is to be used, and return what is used instead. */
const plants = {
  /** Changes that came while the loader ran do not count. */
  fence: { plant: () => Object.assign(fenceRules, { missedByFence: () => false }) },
  /** What L2 has is believed without a look at what was changed since. */
  belief: { plant: () => Object.assign(beliefRules, { isBelieved: () => true }) },
  /** L2 is told a batch as if it had lost nothing of what lies before. */
  prev: {
    tier(l2) {
      const { invalidate } = l2
      l2.invalidate = (batch) => invalidate.call(l2, { ...batch, prev: 0 })
      return l2
    },
  },
  /** Of what the relay carries to a follower that was away once, one commit in five is left out. */
  replay: {
    relay: (relay) => ({
      lead: (log, isLeading) => relay.lead(log, isLeading),
      follow(source) {
        const log = relay.follow(source)
        const { follow } = log
        let hasResumed = false
        let commits = 0
        log.follow = (listener) =>
          follow.call(log, {
            started: (start) => listener.started(start),
            commit: (commit) => {
              if (!hasResumed || ++commits % 5 !== 0) listener.commit(commit)
            },
            progress: (lsn) => listener.progress(lsn),
            lost: (reason) => listener.lost(reason),
            resumed: (resume) => {
              hasResumed = true
              listener.resumed(resume)
            },
          })
        return log
      },
    }),
  },
}

/** Plants what `PLANT` names. @returns what to use of the tier and the relay */
export function planted(name = process.env.PLANT) {
  if (name && !(name in plants)) throw new Error(`PLANT is one of ${Object.keys(plants).join(', ')}.`)
  const { plant = () => {}, tier = (l2) => l2, relay = (relay) => relay } = plants[name] ?? {}
  plant()
  return { tier, relay }
}
