// A process with a cache on PostgreSQL and the file: reads all the time, and tells what it was answered.
import cluster from 'node:cluster'
import { postgres } from '@tidemark/postgres'
import { type Cache, createCache } from 'tidemark'
import { lmdbL2 } from '../src/index.js'

const {
  url,
  path,
  items,
  workers = 0,
} = JSON.parse(process.argv[2]!) as {
  url: string
  path: string
  items: number
  workers?: number
}

/** An answer: which item, its version, how fresh, where from, and as of which position. */
export type Said = readonly [id: number, version: number, state: string, from: string, asOf: string | undefined]

export interface Report {
  readonly pid: number
  readonly said: readonly Said[]
  readonly counters: Cache<object>['counters']
  readonly unreadable: number
}

const EVERY_MS = 100

async function read(): Promise<void> {
  const l2 = lmdbL2({ path, maxBytes: 16 * 2 ** 20 })
  // L1 holds a tenth, so that most reads are of L2.
  const cache = createCache({ source: postgres({ url }), l2, l1: { maxEntries: Math.ceil(items / 10) } })
  const item = cache.define('item', ({ sql }, id: number) =>
    sql
      .query<{ version: number }>('select version from items where id = $1', [id])
      .then(({ rows }) => rows[0]!.version),
  )
  let said: Said[] = []
  setInterval(() => {
    const report: Report = {
      pid: process.pid,
      said,
      counters: { ...cache.counters },
      unreadable: l2.status().unreadable,
    }
    said = []
    process.send!(report)
  }, EVERY_MS)
  for (let n = process.pid; ; n = (n * 48_271) % 2_147_483_647) {
    const id = 1 + (n % items)
    const { value, state, from, asOf } = await item.ask(id)
    said.push([id, value, state, from, asOf])
    if (said.length % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

if (workers > 0 && cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork().on('message', (report) => process.send!(report))
  process.on('disconnect', () => process.exit())
} else {
  await read()
}
