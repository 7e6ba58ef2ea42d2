import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { checkWorld, type Found } from '../src/check.js'
import { BUGS, type Bug } from '../src/plant.js'
import type { Identities } from '../src/schema.js'
import { type CheckServer, startServer } from '../src/server.js'
import { noteDrop, report, zeroTally } from '../src/tally.js'
import { randomWorld } from '../src/world.js'

const size = { queries: 60, rounds: 25, definitions: 0 }
const WORLDS_MAX = 12

let server: CheckServer
let folder: string

beforeAll(async () => {
  server = await startServer('18')
  folder = mkdtempSync(join(tmpdir(), 'tidemark-checker-test-'))
})

afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** They show only where the old values are told, and take several writes in a row. */
const LATE: readonly Bug[] = ['a partner that comes is not seen', 'a partner of a partner forgotten']

async function find(bug: Bug, shrinkMs: number): Promise<Found | undefined> {
  const isLate = LATE.includes(bug)
  const first = isLate ? 7 : 1
  for (let seed = first; seed < first + WORLDS_MAX; seed++) {
    const identities: Identities = seed % 2 === 0 && !isLate ? 'default' : 'full'
    const found = await checkWorld(
      seed,
      {
        server,
        identities,
        size: isLate
          ? { ...size, rounds: 60, definitions: 0.05 }
          : { ...size, definitions: bug === 'definitions ignored' ? 0.4 : 0 },
        bug,
        folder,
        shrinkMs,
      },
      zeroTally(),
    )
    if (found) return found
  }
  return undefined
}

for (const bug of Object.keys(BUGS) as Bug[]) {
  it(`a planted bug is found: ${bug}`, { timeout: 300_000 }, async () => {
    const found = await find(bug, 0)
    expect(found?.shrunk.mismatch.kind).toBe('stale')
    expect(found?.shrunk.mismatch.got).not.toBe(found?.shrunk.mismatch.expected)
  })
}

it('what is wrong is made small, and written as a program that runs', { timeout: 300_000 }, async () => {
  const found = (await find('deletes ignored', 25_000))!
  const { world, isRepeatable } = found.shrunk
  expect(isRepeatable).toBe(true)
  expect(world.queries).toHaveLength(1)
  // Of hundreds; how few, and how much of the schema goes, is a question of time.
  expect(world.steps.filter(({ kind }) => kind === 'write').length).toBeLessThan(20)
  const path = found.command.replace(/^node /, '')
  expect(readFileSync(path, 'utf8')).toContain('const query = {')
  // The program has the real cache, which is right.
  const { stdout } = await promisify(execFile)(process.execPath, [path])
  expect(stdout).toContain('right:')
  expect(stdout).not.toContain('WRONG')
})

it('a seed says all of a world', () => {
  const text = (seed: number): string =>
    JSON.stringify(randomWorld(seed, 'mixed', { queries: 5, rounds: 5, definitions: 0.2 }).steps)
  for (const seed of [3, 5, 7, 8, 10]) expect(text(seed)).toBe(text(seed))
  expect(text(7)).not.toBe(text(8))
})

it('the share of needless invalidations is told by class, identity and cause', () => {
  const tally = zeroTally()
  noteDrop(tally, { identities: 'full', hasKeys: true }, 'bounded', undefined, () => '')
  noteDrop(tally, { identities: 'full', hasKeys: true }, 'bounded', 'bounded rows: join', () => 'example')
  noteDrop(tally, { identities: 'default', hasKeys: false }, 'wide', 'whole table: view', () => '')
  const lines = report(tally).map((line) => line.replace(/ +/g, ' '))
  expect(lines).toContain('equality, IN, range, join 50.0 % of 2 -')
  expect(lines).toContain(' where foreign keys hold 50.0 % of 2 -')
  expect(lines).toContain('everything else - 100.0 % of 1')
  expect(lines).toContain(' bounded rows: join 50.0 % (1 + 0 + 0) ')
})
