import { now } from '../clock.js'
import { maxSilenceMs, shared } from './setup.js'

const KEY = 0
const UPDATES_PER_SECOND = 10

export const hotKey = {
  title: 'F31: one key, read as fast as all processes can, and updated ten times a second',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, { isSmoke }) {
    const ms = isSmoke ? 3_000 : 30_000
    await load.rest()
    const loads = async () => (await load.askAll({ do: 'loads' })).reduce((sum, { loads: each }) => sum + each[KEY], 0)
    await load.askAll({ do: 'hot', key: KEY, ms: 200 })
    const [loadsBefore, writesBefore] = [await loads(), load.writes]
    load.writer.tell({ do: 'write', rate: UPDATES_PER_SECOND, only: KEY })
    const at = now()
    const counts = await load.askAll({ do: 'hot', key: KEY, ms })
    const seconds = (now() - at) / 1_000
    await load.rest()
    const updates = load.writes - writesBefore
    report.figure('reads/s of it, in all processes', counts.reduce((sum, { count }) => sum + count, 0) / seconds)
    report.figure('updates', updates)
    report.goal(
      'loads ÷ updates, in all processes together',
      ((await loads()) - loadsBefore) / updates,
      isSmoke ? 2 : 1.05,
    )
  },
}
