import { setTimeout as sleep } from 'node:timers/promises'
import { maxSilenceMs, shared } from './setup.js'

const SLOW = { delayMs: 500, hotKeys: 40 }

export const races = {
  title: 'F2: loaders are slower than changes, and many wait for the same one',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, { isSmoke }) {
    load.trouble(SLOW)
    await sleep(isSmoke ? 4_000 : 120_000)
    load.trouble()
    const all = await load.askAll({ do: 'repeats' })
    const reads = all.reduce((sum, each) => sum + each.reads, 0)
    const more = all.reduce((sum, each) => sum + each.more, 0)
    report.figure('runs of a loader in one process during one read, at most', Math.max(...all.map(({ most }) => most)))
    report.goal('share of reads during which it ran more than twice', more / reads, 0.01)
  },
}
