import { now } from '../clock.js'
import { l2Answers } from './l2-answers.js'
import { maxSilenceMs, recoverMs, shared } from './setup.js'

const sumOf = (loads) => loads.reduce((sum, each) => sum + each, 0)

/** How often each of these processes loaded each key, since the last time. */
async function loadsOf(nodes, before = new Map()) {
  const all = []
  for (const { number, child } of nodes) {
    const { loads } = await child.ask({ do: 'loads' })
    all.push(loads.map((count, key) => count - (before.get(number)?.[key] ?? 0)))
    before.set(number, loads)
  }
  return all
}

/** Remembers what followers know of the relay; what it returns waits until each has noticed that it is another one. */
function followersNotice(load) {
  const takenUp = ({ status }) => status.counters.resumes + status.counters.gaps
  const before = load.alive.filter(({ status }) => status.log.role === 'follower').map((node) => [node, takenUp(node)])
  return () => load.until(() => before.every(([node, count]) => takenUp(node) > count), 'followers have noticed')
}

const readAll = (nodes) => Promise.all(nodes.map(({ child }) => child.ask({ do: 'readAll' })))

export const flush = {
  title: 'F10: somebody flushes Redis',
  staleMs: maxSilenceMs,
  setup: shared,
  isTogether: true,
  async run(load, report, scale) {
    const { keys, isSmoke } = scale
    for (let round = 0; round < (isSmoke ? 1 : 10); round++) {
      await l2Answers(load)
      const at = now()
      await load.redis.admin.flushall()
      await l2Answers(load)
      report.goal('L2 answers again, ms', now() - at, recoverMs(scale))
    }
    // At rest, so that what is loaded is loaded for the flush alone.
    await load.rest()
    const warm = load.alive.filter(({ keepsLittle }) => !keepsLittle)
    const cold = await load.addNodes(2)
    await readAll(warm)
    const before = new Map()
    await loadsOf(warm, before)
    const noticed = followersNotice(load)
    await load.redis.admin.flushall()
    await noticed()
    await load.recovered()
    await load.until(async () => (await warm[0].child.ask({ do: 'tide' })).isKnown, 'L2 says where the log stands')
    await readAll(warm)
    const again = await loadsOf(warm, before)
    report.goal('loads of processes that kept what they had, ÷ keys', sumOf(again.flat()) / keys, 0.05)
    await readAll(cold)
    const loaded = await loadsOf(cold)
    report.goal('loads of one process that had nothing, of one key, at most', Math.max(...loaded.flat()), 1)
    // On a busy machine a process may not be current for a moment, and then keeps nothing.
    report.goal('loads of two processes that had nothing, ÷ keys', sumOf(loaded.flat()) / keys, isSmoke ? 1.6 : 1.05)
    report.figure('calls of theirs to L2 that failed', sumOf(cold.map(({ status }) => status.counters.l2Errors)))
    await load.endNodes(cold)
  },
}
