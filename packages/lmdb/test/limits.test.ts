import * as fs from 'node:fs'
import { join } from 'node:path'
import { type L2Answer, type L2Batch, type L2Fill, OptionError } from 'tidemark'
import { afterEach, expect, test } from 'vitest'
import { LmdbFolderError, type LmdbL2, type LmdbL2Options, lmdbL2 } from '../src/index.js'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.js'

const MIB = 2 ** 20
const open: { readonly l2: LmdbL2; readonly folder: TemporaryFolder }[] = []

afterEach(async () => {
  for (const { l2, folder } of open.splice(0)) {
    await l2.close()
    folder.remove()
  }
})

async function opened(options: Omit<LmdbL2Options, 'path'> = {}): Promise<LmdbL2> {
  const folder = temporaryFolder()
  const l2 = lmdbL2({ path: folder.path, deadline: '60s', ...options })
  open.push({ l2, folder })
  await l2.invalidate(batch(0, 10))
  return l2
}

function batch(prev: number, end: number, names: readonly string[] = []): L2Batch {
  const marks = names.map((name) => ({ lsn: end, shape: 'posts', name }))
  return { epoch: 'one', prev, end, shapes: undefined, marks, mayReset: false }
}

function entry(value: unknown, lsn = 10, name = '1'): L2Fill {
  const stamps = [{ shape: 'posts', name }]
  return { epoch: 'one', value, lsn, dependencies: [], stamps, ageMs: 0, remainingMs: Number.POSITIVE_INFINITY }
}

async function told(l2: LmdbL2, batch: L2Batch): Promise<L2Answer> {
  const { shapesId } = await l2.invalidate(batch)
  return l2.invalidate({ ...batch, shapes: shapesId })
}

const held = async (l2: LmdbL2, key: string) => (await l2.read(key)).entry !== undefined

test('what was stored longest ago leaves first, and the file stays below its limit', async () => {
  const l2 = await opened({ maxBytes: 8 * MIB })
  const large = Buffer.alloc(50_000, 1)
  for (let i = 0; i < 800; i++) {
    // Small and large ones take turns, as pages that were one's must do for the other.
    expect(await l2.fill(`key${i}`, entry(i % 4 === 0 ? large : { i }))).toBe('stored')
    if (i % 2 === 0) expect(await l2.fill('again', entry({ i }))).toBe('stored')
  }
  const { fileBytes, evicted, entries, startedAnew } = l2.status()
  expect(fileBytes).toBeLessThan(8 * MIB)
  expect(startedAnew).toBe(0)
  expect(evicted).toBeGreaterThan(50)
  expect(entries + evicted).toBe(801)
  const first = 800 - (entries - 1)
  expect(await Promise.all([held(l2, 'again'), held(l2, `key${first}`), held(l2, 'key799')])).toEqual([
    true,
    true,
    true,
  ])
  expect(await Promise.all([held(l2, 'key0'), held(l2, `key${first - 1}`)])).toEqual([false, false])
})

test('an entry of many pages comes back as what it was, also in the place of another one', async () => {
  const l2 = await opened()
  for (const size of [3_900, 4_100, 100_000, 1_000_000, 10]) {
    const value = Buffer.alloc(size, size)
    expect(await l2.fill('a', entry(value))).toBe('stored')
    expect(value.equals((await l2.read('a')).entry?.value as Buffer)).toBe(true)
  }
  expect(l2.status().usedBytes).toBeLessThan(200_000)
})

test('an entry that would push out too many others is refused', async () => {
  const l2 = await opened({ maxBytes: 8 * MIB })
  expect(await l2.fill('a', entry(Buffer.alloc(66_000)))).toBe('refused')
  expect(await l2.fill('a', entry(Buffer.alloc(65_000)))).toBe('stored')
})

test('stamps above the limit are dropped oldest first; what is older than a dropped one is no longer believed', async () => {
  const l2 = await opened({ stampsMax: 100 })
  await l2.fill('before', entry(1, 10, 'x'))
  await told(l2, batch(10, 20, ['first']))
  await l2.fill('between', entry(1, 20, 'x'))
  const names = Array.from({ length: 100 }, (_, i) => `n${i}`)
  await told(l2, batch(20, 30, names.slice(0, 99)))
  expect(await Promise.all([held(l2, 'before'), held(l2, 'between')])).toEqual([true, true])
  await told(l2, batch(30, 40, names.slice(99)))
  // The stamp of 20 was dropped, so nothing of before it counts.
  expect(await Promise.all([held(l2, 'before'), held(l2, 'between')])).toEqual([false, true])
  expect(l2.status().stamps).toBe(100)
  await told(l2, batch(40, 50, names.slice(0, 1)))
  expect(await held(l2, 'between')).toBe(true)
  await told(l2, batch(50, 60, [...names.map((name) => `${name}+`), 'last']))
  expect(l2.status().stamps).toBe(100)
  expect(await l2.fill('between', entry(1, 59, 'x'))).toBe('refused')
  expect(await l2.fill('between', entry(1, 60, 'x'))).toBe('stored')
})

test('very many names in one batch count as all that has the shape', async () => {
  const l2 = await opened()
  await l2.fill('a', entry(1))
  const names = Array.from({ length: 6_000 }, (_, i) => `n${i}`)
  expect((await told(l2, batch(10, 20, names))).state).toBe('applied')
  expect(await held(l2, 'a')).toBe(false)
  expect(l2.status().stamps).toBe(5_000)
})

test('stamps do not fill the file', async () => {
  const l2 = await opened({ maxBytes: 8 * MIB })
  await l2.fill('a', entry(1))
  for (let i = 1; i <= 20; i++) {
    const names = Array.from({ length: 1_000 }, (_, n) => `${i}.${n}${'x'.repeat(300)}`)
    expect((await told(l2, batch(i * 10, i * 10 + 10, names))).state).toBe('applied')
  }
  const { usedBytes, stamps } = l2.status()
  expect(usedBytes).toBeLessThan(3.5 * MIB)
  expect(stamps).toBeGreaterThan(1_000)
})

test('shapes above the limit are not taken, but for the tables that stand for them, which have a limit of their own', async () => {
  const l2 = await opened({ maxBytes: 8 * MIB, shapesMax: 100 })
  const of = (name: string, count: number) =>
    Array.from({ length: count }, (_, i) => ({ shape: `${name}${i}`, name: '' }))
  const wide = { shape: 'table', name: '' }
  expect(await l2.fill('a', { ...entry(1), stamps: of('shape', 99) })).toBe('stored')
  expect(await l2.fill('b', entry(1))).toBe('stored')
  expect(await l2.fill('c', { ...entry(1), stamps: [{ shape: 'one more', name: '', wide }] })).toBe('stored')
  // As many again have nothing that stands for them.
  expect(await l2.fill('d', { ...entry(1), stamps: of('other', 99) })).toBe('stored')
  expect(await l2.fill('e', { ...entry(1), stamps: of('last', 1) })).toBe('refused')
  expect(await l2.fill('f', { ...entry(1), stamps: [{ shape: 'two more', name: '', wide }] })).toBe('stored')
})

test('options that can not be are refused', () => {
  const { path } = temporaryFolder()
  const wrong: unknown[] = [
    undefined,
    {},
    { path: '' },
    { path, maxBytes: 1_000 },
    { path, maxBytes: Number.POSITIVE_INFINITY },
    { path, stampsMax: 1.5 },
    { path, deadline: '1 week' },
    { path, deadline: 0 },
    { path, maxbytes: 2 ** 30 },
  ]
  for (const options of wrong) expect(() => lmdbL2(options as LmdbL2Options)).toThrow(OptionError)
  fs.rmSync(path, { recursive: true })
})

test('its folder is of its own account only, and one that others can enter is refused', async () => {
  const folder = temporaryFolder()
  const path = join(folder.path, 'deep', 'cache')
  const l2 = lmdbL2({ path })
  open.push({ l2, folder })
  await l2.invalidate(batch(0, 10))
  const modes = (path: string): number[] => [
    fs.statSync(path).mode & 0o777,
    ...fs.readdirSync(path, { withFileTypes: true }).flatMap((found) => {
      const below = join(path, found.name)
      return found.isDirectory() ? modes(below) : [fs.statSync(below).mode & 0o777]
    }),
  ]
  expect(modes(path)).toEqual([0o700, 0o700, 0o600, 0o600, 0o600])
  fs.chmodSync(path, 0o750)
  expect(() => lmdbL2({ path })).toThrow(LmdbFolderError)
  const file = join(folder.path, 'file')
  fs.writeFileSync(file, '')
  expect(() => lmdbL2({ path: file })).toThrow(LmdbFolderError)
  expect(() => lmdbL2({ path: join(file, 'below') })).toThrow(LmdbFolderError)
})
