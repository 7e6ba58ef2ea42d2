// `npm run check:sql`: compares cached answers with those of PostgreSQL, for random schemas, queries and writes. See docs/checker.md.
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkWorld, describeMismatch } from './check.js'
import { BUGS, type Bug } from './plant.js'
import type { Identities } from './schema.js'
import { startServer } from './server.js'
import { addTally, report, reportExamples, type Tally, zeroTally } from './tally.js'

const options = {
  /** The first world's; printed, so that a run can be repeated. */
  seed: { type: 'string' },
  minutes: { type: 'string', default: '3' },
  /** Ends after so many worlds of each process. */
  worlds: { type: 'string' },
  server: { type: 'string', default: '18' },
  identity: { type: 'string', default: 'all' },
  processes: { type: 'string' },
  queries: { type: 'string', default: '150' },
  rounds: { type: 'string', default: '60' },
  /** Ends at so many mismatches. */
  mismatches: { type: 'string', default: '3' },
  /** Shows so many of the shortest examples of what was dropped needlessly, by cause. */
  needless: { type: 'string', default: '0' },
  /** With a tier beside L1. */
  l2: { type: 'boolean', default: false },
  /** A bug that is to be found. */
  plant: { type: 'string' },
  part: { type: 'string' },
} as const

const { values: given } = parseArgs({ options })
const numberOf = (text: string | undefined, missing: number): number => (text === undefined ? missing : Number(text))

if (given.part === undefined) await checkAll()
else await checkPart(Number(given.part))

async function checkAll(): Promise<void> {
  if (given.plant !== undefined && !(given.plant in BUGS))
    throw new Error(`--plant is one of: ${Object.keys(BUGS).join(', ')}`)
  const seed = numberOf(given.seed, Date.now() % 1_000_000)
  const processes = given.worlds === undefined ? numberOf(given.processes, 2) : numberOf(given.processes, 1)
  console.log(
    `npm run check:sql -- --seed ${seed} --server ${given.server}${given.l2 ? ' --l2' : ''}${given.worlds === undefined ? ` --minutes ${given.minutes}` : ` --worlds ${given.worlds}`}`,
  )
  const began = performance.now()
  const tally = zeroTally(Number(given.needless))
  const ends = await Promise.all(
    [...Array(processes).keys()].map((part) => ended(forkPart(part, processes, seed), tally)),
  )
  console.log([...report(tally), ...reportExamples(tally)].join('\n'))
  const seconds = (performance.now() - began) / 1000
  console.log(
    `\n${tally.kept === 0 ? 'NOTHING was checked' : tally.mismatches === 0 ? 'No wrong answer' : `${tally.mismatches} WRONG`} in ${seconds.toFixed(0)} s, PostgreSQL ${given.server}.`,
  )
  if (tally.mismatches + tally.selfCheckMismatches > 0 || tally.kept === 0 || ends.some((code) => code !== 0))
    process.exitCode = 1
}

function forkPart(part: number, parts: number, seed: number): ChildProcess {
  const own = ['--part', String(part), '--processes', String(parts), '--seed', String(seed)]
  return fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), ...own], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

async function ended(child: ChildProcess, tally: Tally): Promise<number | null> {
  child.on('message', (part: Tally) => addTally(tally, part))
  const stop = (): void => {
    child.kill('SIGTERM')
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  // What it said last may arrive after its end.
  const heard = new Promise<void>((resolve) => child.once('disconnect', resolve))
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  await heard
  return code
}

async function checkPart(part: number): Promise<void> {
  const parts = numberOf(given.processes, 1)
  const end = given.worlds === undefined ? performance.now() + Number(given.minutes) * 60_000 : Number.POSITIVE_INFINITY
  const worlds = numberOf(given.worlds, Number.POSITIVE_INFINITY)
  const tally = zeroTally(Number(given.needless))
  const server = await startServer(given.server)
  let isStopped = false
  const stop = (): void => {
    isStopped = true
  }
  // Also where the process that started this one was killed.
  process.on('SIGTERM', stop).on('disconnect', stop)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-mismatches-'))
  const size = { queries: Number(given.queries), rounds: Number(given.rounds), definitions: 0.05 }
  try {
    for (
      let count = 0;
      count < worlds && performance.now() < end && !isStopped && tally.mismatches < Number(given.mismatches);
      count++
    ) {
      const seed = Number(given.seed) + part + count * parts
      const identities = identitiesOf(seed)
      const bug = given.plant as Bug | undefined
      const found = await checkWorld(
        seed,
        { server, identities, size, folder, shrinkMs: 120_000, hasL2: given.l2, ...(bug && { bug }) },
        tally,
      )
      if (!found) continue
      const { world, mismatch, isRepeatable, tries } = found.shrunk
      console.log(
        `\nWRONG (seed ${seed}, ${identities}${isRepeatable ? `, made small in ${tries} tries` : ', did not show again'}): ${describeMismatch(mismatch)}`,
      )
      console.log(
        `  ${found.command}\n  npm run check:sql -- --seed ${world.seed} --worlds 1 --identity ${identities} --server ${given.server}\n`,
      )
    }
  } finally {
    await server.stop()
    // What it was made for is kept: programs that show a mismatch.
    if (readdirSync(folder).length === 0) rmdirSync(folder)
  }
  // What is not yet written when the channel is closed is lost.
  await new Promise<void>((resolve) => {
    if (process.send) process.send(tally, () => resolve())
    else resolve()
  })
  process.disconnect?.()
}

function identitiesOf(seed: number): Identities {
  if (given.identity !== 'all') return given.identity as Identities
  return (['full', 'default', 'mixed'] as const)[seed % 3]!
}
