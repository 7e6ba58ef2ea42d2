// `npm run chaos -- postgres`: does to PostgreSQL what happens to it, under load, and judges every answer.
// --smoke: short, writes nothing. --seed N. Names of scenarios limit what is run: npm run chaos -- postgres F13
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './clock.js'
import { Load } from './load.js'
import { Report } from './report.js'
import { scenarios } from './scenarios/index.js'

const scales = {
  // What two cores carry, with the server, three caches, a writer and a judge on them.
  full: {
    keys: 1_000,
    tenants: 50,
    writesPerSecond: 100,
    readsPerSecond: 600,
    warmSeconds: 10,
    seconds: 12,
    isSmoke: false,
  },
  smoke: {
    keys: 400,
    tenants: 4,
    writesPerSecond: 150,
    readsPerSecond: 900,
    warmSeconds: 0.5,
    seconds: 1,
    isSmoke: true,
  },
}

/** The load that runs now. */
let current
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    await current?.end()
    process.exit(130)
  })
}

const { scale, seed, wanted } = read(process.argv.slice(2))
const report = new Report()
for (const scenario of scenarios) {
  const isWanted = wanted.length === 0 || wanted.some((name) => scenario.title.startsWith(name))
  if (isWanted) await run(scenario).catch((error) => failed(scenario, error))
}
if (!scale.isSmoke) {
  report.write(
    `3 processes, ${scale.tenants} tenants, ${scale.keys} keys, ${scale.writesPerSecond} writes/s, ${scale.readsPerSecond} reads/s`,
  )
}
console.log(report.failed === 0 ? '\nAll bounds were kept.' : `\n${report.failed} bounds were not kept.`)
process.exit(report.failed === 0 ? 0 : 1)

/** Load, fault, load; then everything is judged. */
async function run(scenario) {
  const lines = report.scenario(scenario.title, seed)
  const load = new Load(scale, seed)
  current = load
  try {
    await load.start(scenario.setup?.(scale))
    const beganAt = now()
    await load.run()
    await sleep(scale.warmSeconds * 1_000)
    const faultAt = now()
    await scenario.run(load, lines, scale)
    const overAt = now()
    await sleep(scale.seconds * 1_000)
    const kept = await load.settle()
    const healthy = await load.judged({ staleMs: 200, from: beganAt, to: faultAt })
    lines.goal('before the fault: Stale(200 ms)', healthy.stale, 0)
    // Few reads show nothing: a machine that is busy with other things can't carry the load.
    const offered = ((faultAt - beganAt) / 1_000) * scale.readsPerSecond
    if (!scale.isSmoke)
      lines.goal(
        'share of the offered reads that were answered before the fault',
        healthy.reads / offered,
        0.5,
        'least',
      )
    const all = await load.judged({ staleMs: scenario.staleMs })
    lines.goal(`Stale(${scenario.staleMs / 1_000} s)`, all.stale, 0)
    const after = await load.judged({ staleMs: 200, from: overAt + scenario.staleMs })
    if (after.reads > 0) lines.goal(`from ${scenario.staleMs / 1_000} s after the fault: Stale(200 ms)`, after.stale, 0)
    lines.goal('kept at the end and not what the database says', kept.differing, 0)
    lines.goal("answers of another tenant's rows", load.crossed, 0)
    lines.figure('reads judged', all.reads)
    lines.figure(
      'answers by state',
      Object.entries(all.states)
        .map(([state, count]) => `${count} ${state}`)
        .join(', '),
    )
    const early = load.errors.filter(([, , end]) => end < faultAt)
    lines.goal('reads that failed before the fault', early.length, 0)
    lines.figure(
      'reads that failed from the fault on, by code',
      byCode(load.errors.filter(([, , end]) => end >= faultAt)),
    )
    if (early.length > 0) lines.figure('reads that failed before the fault, by code', byCode(early))
    lines.figure('writes acknowledged', load.writes)
    lines.figure('kept at the end and compared', kept.compared)
    for (const example of [...all.examples, ...healthy.examples, ...kept.examples].slice(0, 5))
      console.log('    ', JSON.stringify(example))
  } finally {
    await load.end()
  }
}

function byCode(errors) {
  const counts = new Map()
  for (const [, code] of errors) counts.set(code, (counts.get(code) ?? 0) + 1)
  return [...counts].map(([code, count]) => `${count} ${code}`).join(', ') || 'none'
}

function failed(scenario, error) {
  report.failed++
  console.log(`  × ${scenario.title} failed: ${error.stack}`)
}

function read(args) {
  const at = args.indexOf('--seed')
  const given = at < 0 ? Date.now() % 1_000_000 : Number(args[at + 1])
  if (!Number.isSafeInteger(given)) throw new Error('--seed wants a whole number.')
  const names = args.filter((argument, i) => !argument.startsWith('--') && (at < 0 || i !== at + 1))
  return { scale: args.includes('--smoke') ? scales.smoke : scales.full, seed: given, wanted: names }
}
