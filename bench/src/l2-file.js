// An L2 in a file by itself, in one process: `node l2-file.js entries`. Prints µs by the clock, and of processor time in all threads.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lmdbL2 } from '@tidemark/lmdb'

const COUNT = Number(process.argv[2] ?? 20_000)
const BATCHES = Math.max(3, COUNT / 400)
const MARKS = 1_000
const AT_ONCE = 100

const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
const l2 = lmdbL2({ path: folder, deadline: '60s' })
const value = {
  id: 1,
  title: 'A post',
  author: { id: 7, name: 'Ann' },
  tags: ['a', 'b'],
  at: new Date(),
  body: 'x'.repeat(800),
}
const stamps = (i) => [
  { shape: 'key', name: `post(${i})` },
  { shape: 'posts by id', name: `${i}` },
  { shape: 'authors by id', name: `${i % 100}` },
]
const entry = (i, lsn) => ({
  epoch: 'one',
  value,
  lsn,
  dependencies: [],
  stamps: stamps(i),
  ageMs: 0,
  remainingMs: 1e9,
})
const batch = (prev, marks = []) => ({ epoch: 'one', prev, end: prev + 10, shapes: undefined, marks, mayReset: false })

async function tell(batch) {
  const { shapesId } = await l2.invalidate(batch)
  await l2.invalidate({ ...batch, shapes: shapesId })
}

const figures = {}

async function measured(name, count, run) {
  const [begin, cpu] = [performance.now(), process.cpuUsage()]
  await run()
  const { user, system } = process.cpuUsage(cpu)
  const us = ((performance.now() - begin) * 1_000) / count
  figures[name] = { us, cpuUs: (user + system) / count }
}

const fillAll = async (lsn) => {
  for (let i = 0; i < COUNT; i += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => l2.fill(`post(${i + n})`, entry(i + n, lsn))))
  }
}
const readAll = async () => {
  let hits = 0
  for (let i = 0; i < COUNT; i++) if ((await l2.read(`post(${(i * 7_919) % COUNT})`)).entry) hits++
  if (hits !== COUNT) throw new Error(`${hits} of ${COUNT} were hits.`)
}

try {
  await l2.invalidate(batch(0))
  await measured('fill, 100 at once', COUNT, () => fillAll(10))
  await measured('fill of what is there, 100 at once', COUNT, () => fillAll(10))
  await readAll()
  await measured('read hit, nothing happened since', COUNT, readAll)
  // Of something else: each read compares its three stamps.
  await tell(batch(10, [{ lsn: 20, shape: 'key', name: 'another' }]))
  await readAll()
  await measured('read hit, 3 stamps compared', COUNT, readAll)
  await measured('read miss', COUNT, async () => {
    for (let i = 0; i < COUNT; i++) await l2.read(`none(${i})`)
  })
  let m = 20
  await measured(`batch of ${MARKS.toLocaleString('en')} marks`, BATCHES, async () => {
    for (let i = 0; i < BATCHES; i++, m += 10) {
      const marks = Array.from({ length: MARKS }, (_, n) => ({
        lsn: m + 10,
        shape: 'posts by id',
        name: `${i % 10}.${n}`,
      }))
      await tell(batch(m, marks))
    }
  })
  await measured('batch of one mark', BATCHES * 10, async () => {
    for (let i = 0; i < BATCHES * 10; i++, m += 10)
      await tell(batch(m, [{ lsn: m + 10, shape: 'key', name: `${i % 50}` }]))
  })
} finally {
  await l2.close()
  rmSync(folder, { recursive: true, force: true })
}
console.log(JSON.stringify(figures))
