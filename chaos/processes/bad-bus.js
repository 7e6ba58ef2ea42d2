import { setTimeout as sleep } from 'node:timers/promises'
import { maxSilenceMs, recoverMs, shared } from './setup.js'

export const untrusted = {
  title: 'F17: of what the relay carries one in ten is lost, one comes twice, one too late',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, scale) {
    const gaps = () => load.sum(({ counters }) => counters.gaps + counters.resumes)
    await load.recovered()
    const before = gaps()
    load.trouble({ isBusBad: true })
    await sleep(scale.isSmoke ? 2_500 : 60_000)
    load.trouble()
    await load.recovered(recoverMs(scale))
    report.goal('times that a process noticed', gaps() - before, 1, 'least')
  },
}
