import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.js'
import { generator } from '../random.js'
import { maxSilenceMs, shared } from './setup.js'

const READY_MS = 3_000
/** In the middle of a fill; between a commit and L2; between L2 and the next place that is acknowledged; or whenever. */
const MOMENTS = ['fill', 'before-l2', 'after-l2', undefined]

export const kills = {
  title: 'F1: processes are killed with -9, in the middle of fills and of telling L2',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, scale) {
    const random = generator(load.seed)
    const rounds = scale.isSmoke ? 2 : 50
    const took = []
    let led = 0
    for (let round = 0; round < rounds; round++) {
      // The one that leads in each second round: whoever takes over must go on where it ended.
      const killable = load.alive.filter(({ keepsLittle }) => !keepsLittle)
      const leaders = killable.filter(({ status }) => status?.log.role === 'leader')
      const node = (round % 2 === 0 && leaders[0]) || killable[random(killable.length)]
      if (node.status?.log.role === 'leader') led++
      await load.killAt(node, MOMENTS[round % MOMENTS.length])
      const at = now()
      const [started] = [load.addNode()]
      await started.child.ready
      const bootedAt = now()
      await load.until(() => started.status?.keeping && started.status.current, 'the process that started keeps')
      took.push({ boot: bootedAt - at, keep: now() - bootedAt })
      await load.run()
      await sleep(scale.isSmoke ? 200 : 1_000)
    }
    const most = (what) => Math.max(...took.map((each) => each[what]))
    report.figure('processes that were killed', rounds)
    report.figure('of them while they led', led)
    report.goal(
      'a process that starts keeps what it reads after, at most, ms',
      most('keep'),
      scale.isSmoke ? 15_000 : READY_MS,
    )
    report.figure('its start before that, at most, ms', most('boot'))
  },
}
