// The checker: a process of its own, with a connection of its own, that shares nothing with the caches.
import pg from 'pg'
import { now } from './clock.js'
import { Judge } from './judge.js'

const { url } = JSON.parse(process.argv[2])
const judge = new Judge()

async function versions() {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query('select id, version from items')
    return rows.map(({ id, version }) => [id, Number(version)])
  } finally {
    await client.end()
  }
}

const answers = {
  acks: ({ acks }) => judge.acked(acks),
  reads: ({ reads, process: number }) => judge.read(reads, number),
  stop: () => process.exit(0),
  restored: async () => judge.restored(await versions(), now()),
  judge: (wanted) => judge.judge(wanted),
  freshIn: ({ process: number, from, to }) => judge.freshIn(number, from, to),
  compare: async ({ kept }) => {
    const differing = judge.differing(kept, await versions())
    return { compared: kept.length, differing: differing.length, examples: differing.slice(0, 5) }
  },
}

// In the order in which it is told.
let last = Promise.resolve()
process.on('message', ({ do: what, id, ...wanted }) => {
  last = last.then(async () => {
    try {
      const result = await answers[what](wanted)
      if (id !== undefined) process.send({ kind: 'answer', id, result })
    } catch (error) {
      if (id !== undefined) process.send({ kind: 'answer', id, error: String(error) })
    }
  })
})
process.on('disconnect', () => process.exit(0))
process.send({ kind: 'ready' })
