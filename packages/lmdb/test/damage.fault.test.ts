import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import type { Duration, L2Batch, L2Fill } from 'tidemark'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { LmdbDownError, type LmdbL2, lmdbL2 } from '../src/index.js'
import { type Process, Program, until } from './processes.js'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.js'

let program: Program
let folder: TemporaryFolder
let open: LmdbL2[] = []
const running = new Set<Process>()
let warned: (string | undefined)[] = []
const hear = (warning: Error & { code?: string }) => warned.push(warning.code)

beforeAll(async () => {
  program = await Program.of('visitor.ts')
})

afterAll(() => program?.remove())

beforeEach(() => {
  folder = temporaryFolder()
  warned = []
  process.on('warning', hear)
})

afterEach(async () => {
  process.off('warning', hear)
  for (const visitor of running) await visitor.kill()
  running.clear()
  for (const l2 of open) await l2.close()
  open = []
  folder.remove()
})

function opened(deadline: Duration = '20s'): LmdbL2 {
  const l2 = lmdbL2({ path: folder.path, deadline })
  open.push(l2)
  return l2
}

function batch(prev: number, end: number, mayReset = false): L2Batch {
  return { epoch: 'one', prev, end, shapes: undefined, marks: [], mayReset }
}

function entry(value: unknown, lsn = 10): L2Fill {
  const stamps = [{ shape: 'posts', name: '1' }]
  return { epoch: 'one', value, lsn, dependencies: [], stamps, ageMs: 0, remainingMs: Number.POSITIVE_INFINITY }
}

const valueIn = async (l2: LmdbL2, key: string) => (await l2.read(key)).entry?.value

/** A file with entries that nobody has open. */
async function left(entries = 100): Promise<string> {
  const l2 = opened()
  await l2.invalidate(batch(0, 10))
  for (let i = 0; i < entries; i++)
    await l2.fill(`key${i}`, entry(`<<value ${i}${'.'.repeat(i % 5 === 0 ? 9_000 : 50)}>>`))
  await l2.close()
  return folder.data()!
}

/** What a process says that does so, or what ended it. */
async function visit(does: string, shell?: string): Promise<unknown> {
  const data = folder.data() ?? ''
  let said: unknown
  const visitor = program.start(
    { path: folder.path, data, does },
    (message) => {
      said ??= message
    },
    shell,
  )
  running.add(visitor)
  const ended = await visitor.ended
  return said ?? { ended }
}

test.each([
  ['cut in half', (data: string, size: number) => fs.truncateSync(data, size / 2)],
  ['cut by a page', (data: string, size: number) => fs.truncateSync(data, size - 4_096)],
  ['cut to a few bytes', (data: string) => fs.truncateSync(data, 100)],
  ['another file', (data: string, size: number) => fs.writeFileSync(data, Buffer.alloc(size, 'another'))],
])('a file that was %s is moved aside, and L2 starts empty and says so', async (_, damage) => {
  const data = await left()
  damage(data, fs.statSync(data).size)
  const l2 = opened()
  expect(await l2.read('key1')).toEqual({ tide: undefined, entry: undefined })
  await until(() => warned.includes('l2-damaged'), 'it is said')
  expect(fs.existsSync(join(folder.path, 'aside', 'data.mdb'))).toBe(true)
  await l2.invalidate(batch(10, 20))
  expect(await l2.fill('key1', entry('new', 20))).toBe('stored')
  expect(await valueIn(opened(), 'key1')).toBe('new')
  expect(l2.status()).toMatchObject({ startedAnew: 1, entries: 1 })
})

test('a file that ends whoever opens it, one after the other, is moved aside', async () => {
  const data = await left(3)
  const mark = (age: number, name: string) => {
    const path = join(dirname(data), `trial-${name}`)
    fs.writeFileSync(path, '')
    fs.utimesSync(path, new Date(Date.now() - age), new Date(Date.now() - age))
  }
  for (const name of ['a', 'b']) mark(20_000, name)
  for (const name of ['c', 'd', 'e']) mark(1_000, name)
  const careful = opened()
  expect(await valueIn(careful, 'key1')).toBeDefined()
  await careful.close()
  mark(20_000, 'f')
  const l2 = opened()
  expect(await valueIn(l2, 'key1')).toBeUndefined()
  await until(() => warned.includes('l2-damaged'), 'it is said')
  // This one outlives its trial, and takes the marks of others away.
  mark(20_000, 'g')
  await until(() => fs.readdirSync(dirname(data)).every((name) => !name.startsWith('trial-')), 'the trial ends')
})

test('an entry whose bytes were changed is a miss, deleted and counted; the others are not touched', async () => {
  const data = await left()
  const bytes = fs.readFileSync(data)
  for (const i of [3, 10, 20]) {
    // Also of those that were written into a page and copied later.
    for (let at = bytes.indexOf(`<<value ${i}.`); at >= 0; at = bytes.indexOf(`<<value ${i}.`, at + 1))
      bytes[at + 12]! ^= 1
  }
  fs.writeFileSync(data, bytes)
  const l2 = opened()
  for (let i = 0; i < 100; i++) {
    const isDamaged = i === 3 || i === 10 || i === 20
    expect(await valueIn(l2, `key${i}`)).toEqual(isDamaged ? undefined : expect.stringContaining(`<<value ${i}.`))
  }
  expect(l2.status().unreadable).toBe(3)
  await until(() => l2.status().entries === 97, 'they are deleted')
  expect(await l2.fill('key3', entry('new'))).toBe('stored')
  expect(await valueIn(l2, 'key3')).toBe('new')
  expect(warned).toEqual([])
})

test('a file that is deleted, or replaced by an older one, is left by all who have it open', async () => {
  const data = await left(3)
  const old = `${folder.path}-old`
  fs.cpSync(dirname(data), old, { recursive: true })
  try {
    const both = [opened(), opened()] as const
    let m = 10
    /** Both are told what happens, until they have one file again. */
    const together = async () => {
      await until(
        async () => {
          const mayReset = (await both[0].invalidate(batch(m, m + 10))).state === 'behind'
          for (const l2 of both) await l2.invalidate(batch(m, m + 10, mayReset))
          m += 10
          await both[0].fill('key', entry(m, m))
          return (await valueIn(both[1], 'key')) === m
        },
        'both have the same file',
        20_000,
      )
    }
    await together()
    fs.rmSync(dirname(data), { recursive: true })
    await until(async () => {
      await both[0].invalidate(batch(m, m + 10))
      m += 10
      return fs.existsSync(data)
    }, 'there is a file again')
    await together()
    fs.rmSync(dirname(data), { recursive: true })
    fs.renameSync(old, dirname(data))
    await together()
    // It was told that something is missing, so nothing in it counts.
    expect(await valueIn(both[0], 'key1')).toBeUndefined()
    expect(warned).toEqual([])
  } finally {
    fs.rmSync(old, { recursive: true, force: true })
  }
})

test('a process that is frozen with the lock stops writes for 10 s, and no reads; then there is a new file', async () => {
  await left(3)
  const l2 = opened('1s')
  expect(await valueIn(l2, 'key1')).toBeDefined()
  let isLocked = false
  const frozen = program.start({ path: folder.path, data: folder.data(), does: 'freeze with the lock' }, () => {
    isLocked = true
  })
  running.add(frozen)
  await until(() => isLocked, 'it holds the lock')
  const late = () =>
    l2.fill('key1', entry('late')).then(
      () => 'stored',
      (error: unknown) => (error instanceof LmdbDownError ? error.message : error),
    )
  expect(await late()).toContain('not written within 1000 ms')
  // The next one does not wait.
  expect(await late()).toContain('a moment ago')
  expect(l2.status().state).toBe('paused')
  expect(await valueIn(l2, 'key1')).toBeDefined()
  await until(
    async () => {
      const told = await l2.invalidate(batch(10, 20)).then(
        () => true,
        () => false,
      )
      return told && (await l2.fill('key1', entry('new', 20))) === 'stored'
    },
    'there is a new file',
    30_000,
  )
  expect(await valueIn(l2, 'key1')).toBe('new')
  expect(warned).toContain('l2-locked')
  await frozen.kill()
  expect(await valueIn(opened(), 'key1')).toBe('new')
})

test('where the disk takes no more, writes fail and are not tried all the time; reads go on', async () => {
  // A limit on the size of files stands for the disk: 3 MB.
  const said = await visit('fill the disk', "trap '' XFSZ; ulimit -f $((3 * 1024 * 1024 / 512));")
  expect(said).toMatchObject({ code: 'TIDEMARK_LMDB_DOWN', first: 'here', state: 'paused' })
  expect(said).toMatchObject({ fails: expect.stringContaining('a moment ago') })
  expect((said as { stored: number }).stored).toBeGreaterThan(20)
})
