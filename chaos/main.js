// `npm run chaos -- postgres`, `npm run chaos -- processes`: does to PostgreSQL, or to many processes and the Redis that they share, what
// happens to them, under load, and judges every answer. `npm run chaos -- service`: does to the HTTP API what clients do. --smoke: short, writes nothing. --seed N. Names of scenarios limit what is run:
// npm run chaos -- postgres F13
import { Load } from './load.js'
import { scenarios as ofPostgres } from './postgres/index.js'
import { scenarios as ofProcesses } from './processes/index.js'
import { Report } from './report.js'
import { runScenario } from './run.js'
import { scenarios as ofService, runService } from './service/index.js'

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

const kinds = { postgres: ofPostgres, processes: ofProcesses, service: ofService }
/** The load that runs now, and what it was made for. */
let current
let currentSetup
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    await current?.end()
    process.exit(130)
  })
}

const { kind, scenarios, scale, seed, wanted } = read(process.argv.slice(2))
const report = new Report()
for (const scenario of scenarios) {
  const isWanted = wanted.length === 0 || wanted.some((name) => scenario.title.startsWith(name))
  if (!isWanted) continue
  const lines = report.scenario(scenario.title, seed)
  try {
    if (kind === 'service') await runService(scenario, lines, scale)
    else await runScenario(await loadFor(scenario), scenario, lines, scale)
  } catch (error) {
    failed(scenario, error)
    await current?.end()
    current = undefined
  }
}
await current?.end()
if (!scale.isSmoke) {
  report.write(
    kind === 'service'
      ? 'The service in a process of its own'
      : `3 processes, ${scale.tenants} tenants, ${scale.keys} keys, ${scale.writesPerSecond} writes/s, ${scale.readsPerSecond} reads/s`,
  )
}
console.log(report.failed === 0 ? '\nAll bounds were kept.' : `\n${report.failed} bounds were not kept.`)
process.exit(report.failed === 0 ? 0 : 1)

/** A load of its own; in short, scenarios one after the other may have one together. */
async function loadFor({ setup, isTogether }) {
  if (current && scale.isSmoke && isTogether && setup === currentSetup) return current
  await current?.end()
  current = new Load(scale, seed)
  currentSetup = setup
  await current.start(setup?.(scale))
  return current
}

function failed(scenario, error) {
  report.failed++
  console.log(`  × ${scenario.title} failed: ${error.stack}`)
}

function read([kind, ...args]) {
  if (!(kind in kinds)) throw new Error(`Say to what: ${Object.keys(kinds).join(' | ')}`)
  const at = args.indexOf('--seed')
  const given = at < 0 ? Date.now() % 1_000_000 : Number(args[at + 1])
  if (!Number.isSafeInteger(given)) throw new Error('--seed wants a whole number.')
  const names = args.filter((argument, i) => !argument.startsWith('--') && (at < 0 || i !== at + 1))
  return {
    kind,
    scenarios: kinds[kind],
    scale: args.includes('--smoke') ? scales.smoke : scales.full,
    seed: given,
    wanted: names,
  }
}
