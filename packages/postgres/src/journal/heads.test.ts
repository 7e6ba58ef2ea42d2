import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SignedHeads } from './heads.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-heads-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const head = (seq: number) => new Map([['source', { seq, hash: `hash ${seq}` }]])
const file = () => join(folder, 'journal-heads')

test('what was signed is read again, also by another process, and each journal has its own', async () => {
  const [one, other] = await Promise.all([SignedHeads.open(folder), SignedHeads.open(folder)])
  expect(one.publicKey).toBe(other.publicKey)
  await Promise.all([
    one.sign('j', 'heads', head(1)),
    other.sign('j', 'anchors', head(2)),
    one.sign('k', 'heads', head(3)),
  ])
  const { chains, forged } = await other.read('j')
  expect(Object.fromEntries(chains)).toEqual({
    source: { heads: [{ seq: 1, hash: 'hash 1' }], anchors: [{ seq: 2, hash: 'hash 2' }] },
  })
  expect(forged).toBe(0)
  expect((await stat(join(folder, 'journal-key.pem'))).mode & 0o777).toBe(0o600)
})

test('a line that another key signed, or that somebody changed, is counted and not believed', async () => {
  const heads = await SignedHeads.open(folder)
  await heads.sign('j', 'heads', head(1))
  const text = await readFile(file(), 'utf8')
  await appendFile(file(), text.replace('[1,', '[9,'))
  await appendFile(file(), 'nonsense\n')
  // What was being written when the machine stopped is no forgery.
  await appendFile(file(), text.slice(0, 40))
  const { chains, forged } = await heads.read('j')
  expect(forged).toBe(2)
  expect(chains.get('source')!.heads).toEqual([{ seq: 1, hash: 'hash 1' }])
})

test('what was half written when the disk was full or the process was killed does not spoil the next line', async () => {
  const first = await SignedHeads.open(folder)
  await first.sign('j', 'heads', head(1))
  const line = await readFile(file(), 'utf8')
  for (const torn of [line.slice(0, 40), line.slice(0, -1), 'x']) {
    await appendFile(file(), torn)
    // The same process again, and one that comes anew.
    await first.sign('j', 'heads', head(2))
    await appendFile(file(), torn)
    await (await SignedHeads.open(folder)).sign('j', 'heads', head(3))
  }
  const { chains, forged } = await first.read('j')
  expect(forged).toBe(0)
  expect(chains.get('source')!.heads.map(({ seq }) => seq)).toEqual([1, 2, 3, 2, 3, 2, 3])
})

test('a file that grew too large keeps the last head of each chain, and every anchor', async () => {
  const heads = await SignedHeads.open(folder)
  await heads.sign('j', 'anchors', head(1))
  for (let seq = 2; seq < 5; seq++) await heads.sign('j', 'heads', head(seq))
  // Whatever fills it: lines that are read twice say the same.
  const line = (await readFile(file(), 'utf8')).split('\n')[1]!
  await writeFile(file(), `${await readFile(file(), 'utf8')}${`${line}\n`.repeat(Math.ceil(2 ** 20 / line.length))}`)
  await heads.sign('j', 'heads', new Map([['tenant a', { seq: 7, hash: 'x' }]]))
  expect((await stat(file())).size).toBeLessThan(10_000)
  const { chains } = await heads.read('j')
  expect(chains.get('source')!.anchors).toHaveLength(1)
  expect(chains.get('tenant a')!.heads).toEqual([{ seq: 7, hash: 'x' }])
})

test('a head that a later one contradicts is kept when the file grew too large: somebody cut the chain in between', async () => {
  const heads = await SignedHeads.open(folder)
  for (let seq = 1; seq < 5; seq++) await heads.sign('j', 'heads', head(seq))
  await heads.sign('j', 'heads', new Map([['source', { seq: 3, hash: 'another 3' }]]))
  await heads.sign('j', 'heads', head(9))
  const text = await readFile(file(), 'utf8')
  const line = text.split('\n').at(-2)!
  await writeFile(file(), `${text}${`${line}\n`.repeat(Math.ceil(2 ** 20 / line.length))}`)
  await heads.sign('k', 'heads', head(1))
  const { chains } = await heads.read('j')
  const hashes = chains.get('source')!.heads.map(({ hash }) => hash)
  expect(hashes).toEqual(['hash 4', 'another 3', 'hash 9'])
})

test('a key that cannot be read is an error that says what to do', async () => {
  await writeFile(join(folder, 'journal-key.pem'), 'nonsense')
  await expect(SignedHeads.open(folder)).rejects.toMatchObject({ code: 'TIDEMARK_JOURNAL' })
})
