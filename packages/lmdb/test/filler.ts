// A process that writes to the file of an L2 without a pause, to be killed: entries of one page and of many, and batches.
import { LmdbDownError, lmdbL2 } from '../src/index.js'

const { path, number } = JSON.parse(process.argv[2]!) as { path: string; number: number }
const l2 = lmdbL2({ path, deadline: '60s', maxBytes: 64 * 2 ** 20 })
const KEYS = 200
let count = 0

async function fill(lsn: number): Promise<void> {
  const n = ++count
  const size = n % 7 === 0 ? 60_000 : n % 100
  const stamps = [{ shape: `shape${n % 5}`, name: `${n % 50}` }]
  const value = { n, bytes: Buffer.alloc(size, n) }
  const entry = { epoch: 'one', value, lsn, dependencies: [], stamps, ageMs: 0, remainingMs: Number.POSITIVE_INFINITY }
  await l2.fill(`key${(n * 31 + number) % KEYS}`, entry)
}

async function tell(m: number): Promise<void> {
  const marks = Array.from({ length: 20 }, (_, i) => ({ lsn: m + 1, shape: `shape${i % 5}`, name: `${(m + i) % 50}` }))
  const batch = { epoch: 'one', prev: m, end: m + 1, shapes: undefined, marks, mayReset: false }
  const { shapesId } = await l2.invalidate(batch)
  await l2.invalidate({ ...batch, shapes: shapesId })
}

process.send!('ready')
for (;;) {
  try {
    const m = (await l2.read('none')).tide?.m ?? 0
    await Promise.all([tell(m), ...Array.from({ length: 10 }, () => fill(m))])
  } catch (error) {
    // Another process may just be opening the file: a miss, and tried again.
    if (!(error instanceof LmdbDownError)) throw error
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
