import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type LmdbL2, lmdbL2 } from '../src/index.js'
import { type Process, Program, until } from './processes.js'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.js'

let program: Program
let folder: TemporaryFolder
let l2: LmdbL2
const running = new Set<Process>()

beforeAll(async () => {
  program = await Program.of('filler.ts')
})

afterAll(() => program?.remove())

beforeEach(() => {
  folder = temporaryFolder()
  l2 = lmdbL2({ path: folder.path, deadline: '60s', maxBytes: 64 * 2 ** 20 })
})

afterEach(async () => {
  for (const filler of running) await filler.kill()
  running.clear()
  await l2.close()
  folder.remove()
})

async function started(number: number): Promise<Process> {
  let isReady = false
  const filler = program.start({ path: folder.path, number }, () => {
    isReady = true
  })
  running.add(filler)
  await until(() => isReady, 'a process writes')
  return filler
}

/** As if who opened the file had lived with it for a while. */
function endTrials(): void {
  const environment = dirname(folder.data()!)
  for (const name of fs.readdirSync(environment)) {
    if (name.startsWith('trial-')) fs.rmSync(join(environment, name), { force: true })
  }
}

/** While another process opens the file, it is a miss: it is asked again. */
async function m(): Promise<number> {
  let at = 0
  const isRead = async (): Promise<boolean> => {
    const read = await l2.read('none').catch(() => undefined)
    at = read?.tide?.m ?? 0
    return read !== undefined
  }
  await until(isRead, 'the file can be read')
  return at
}

/** All entries that can be read are what some process wrote. */
async function readable(): Promise<number> {
  let count = 0
  for (let i = 0; i < 200; i++) {
    const { entry } = await l2.read(`key${i}`)
    if (!entry) continue
    const { n, bytes } = entry.value as { n: number; bytes: Buffer }
    expect(bytes.equals(Buffer.alloc(n % 7 === 0 ? 60_000 : n % 100, n))).toBe(true)
    count++
  }
  return count
}

test('a process that is killed in the middle of a write, 20 times, leaves the file whole and unlocked', async () => {
  const fillers = [await started(0), await started(1)]
  let read = 0
  let before = 0
  for (let round = 0; round < 20; round++) {
    await until(async () => (await m()) > before + 3, 'they write')
    read += await readable()
    const killed = fillers[round % 2]!
    endTrials()
    await killed.kill()
    running.delete(killed)
    // Nothing waits for who is dead.
    before = await m()
    await until(async () => (await m()) > before + 3, 'the other one writes')
    fillers[round % 2] = await started(round)
  }
  expect(read).toBeGreaterThan(100)
  const { unreadable, startedAnew, state, fileBytes } = l2.status()
  expect({ unreadable, startedAnew, state }).toEqual({ unreadable: 0, startedAnew: 0, state: 'open' })
  expect(fileBytes).toBeLessThan(64 * 2 ** 20)
}, 180_000)

test('with all processes killed at once, what they wrote is still there', async () => {
  const fillers = [await started(0), await started(1)]
  await until(async () => (await m()) > 20, 'they write')
  await l2.close()
  await Promise.all(fillers.map((filler) => filler.kill()))
  l2 = lmdbL2({ path: folder.path })
  expect(await m()).toBeGreaterThan(20)
  await readable()
  expect(l2.status()).toMatchObject({ unreadable: 0, startedAnew: 0 })
})
