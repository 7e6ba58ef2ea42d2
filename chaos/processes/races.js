import { setTimeout as sleep } from 'node:timers/promises'
import { shared } from './setup.js'

const SLOW = { delayMs: 500, hotKeys: 40 }

export const races = {
  title: 'F2: loaders are slower than changes, and many wait for the same one',
  // Nobody is cut off from anything.
  staleMs: ({ isSmoke }) => (isSmoke ? 1_000 : 200),
  setup: shared,
  isTogether: true,
  async run(load, report, { isSmoke }) {
    load.trouble(SLOW)
    await sleep(isSmoke ? 3_000 : 120_000)
    load.trouble()
    const all = await load.askAll({ do: 'repeats' })
    const reads = all.reduce((sum, each) => sum + each.reads, 0)
    const more = all.reduce((sum, each) => sum + each.more, 0)
    report.figure('reads that ended', reads)
    report.figure('runs of a loader in one process during one read, at most', Math.max(...all.map(({ most }) => most)))
    report.goal('share of reads during which it ran more than twice', reads === 0 ? 0 : more / reads, 0.01)
  },
}
