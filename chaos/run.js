import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './clock.js'
import { judgeShared } from './processes/judge-shared.js'

/** Load, fault, load; then everything is judged that was read meanwhile. */
export async function runScenario(load, scenario, lines, scale) {
  const staleMs = typeof scenario.staleMs === 'function' ? scenario.staleMs(scale) : scenario.staleMs
  load.begin()
  const beganAt = now()
  await load.run()
  await sleep(scale.warmSeconds * 1_000)
  const faultAt = now()
  await scenario.run(load, lines, scale)
  const overAt = now()
  await load.run()
  await sleep(scale.seconds * 1_000)
  const kept = await load.settle()
  if (load.redis) await judgeShared(load, lines, beganAt)
  const healthyMs = healthyStaleMs(load, scale)
  const healthy = await load.judged({ staleMs: healthyMs, from: beganAt, to: faultAt })
  lines.goal(`before the fault: Stale(${healthyMs} ms)`, healthy.stale, 0)
  // Few reads show nothing: a machine that is busy with other things can't carry the load.
  const offered = ((faultAt - beganAt) / 1_000) * scale.readsPerSecond
  if (!scale.isSmoke)
    lines.goal('share of the offered reads that were answered before the fault', healthy.reads / offered, 0.5, 'least')
  const all = await load.judged({ staleMs, from: beganAt })
  lines.goal(`Stale(${staleMs / 1_000} s)`, all.stale, 0)
  const after = await load.judged({ staleMs: healthyMs, from: overAt + staleMs })
  if (after.reads > 0) lines.goal(`from ${staleMs / 1_000} s after the fault: Stale(${healthyMs} ms)`, after.stale, 0)
  lines.goal('kept at the end and not what the database says', kept.differing, 0)
  lines.goal("answers of another tenant's rows", load.crossed, 0)
  if (load.redis) lines.goal('processes that ended by themselves', load.ended.length, 0)
  lines.figure('reads judged', all.reads)
  lines.figure('answers by state', counted(all.states))
  if (load.redis) lines.figure('answers by where they came from', counted(all.froms))
  const errors = load.errors.filter(([start]) => start >= beganAt)
  const early = errors.filter(([, , end]) => end < faultAt)
  lines.goal('reads that failed before the fault', early.length, 0)
  lines.figure('reads that failed from the fault on, by code', byCode(errors.filter(([, , end]) => end >= faultAt)))
  if (early.length > 0) lines.figure('reads that failed before the fault, by code', byCode(early))
  lines.figure('writes acknowledged', load.writes)
  lines.figure('kept at the end and compared', kept.compared)
  for (const example of [...all.examples, ...healthy.examples, ...kept.examples].slice(0, 5))
    console.log('    ', JSON.stringify(example))
}

/** Where nothing is wrong. In short it is run on machines that do other things too, and a change has further to go by way of Redis. */
function healthyStaleMs(load, { isSmoke }) {
  return isSmoke && load.redis ? 1_000 : 200
}

function counted(counts) {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')
}

function byCode(errors) {
  const counts = {}
  for (const [, code] of errors) counts[code] = (counts[code] ?? 0) + 1
  return counted(counts) || 'none'
}
