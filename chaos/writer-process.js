// Writes rows on connections of its own and reports when the server acknowledged each: a key is always written by the same connection.
import pg from 'pg'
import { now } from './clock.js'
import { generator } from './random.js'

const { url, keys, seed } = JSON.parse(process.argv[2])
const CONNECTIONS = 4
const REPORT_MS = 50
const RETRY_MS = 50

let rate = 0
/** The one key that is written, where it is one. */
let only
let version = 0
let acks = []
let failed = 0

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Versions only grow, over all keys, so that none is ever used twice, whatever history the server loses. */
async function write(client, id) {
  const next = ++version
  const { rowCount } = await client.query('update items set version = $1 where id = $2', [next, id])
  if (rowCount === 1) acks.push([id, next, now()])
}

async function runConnection(number) {
  const random = generator(seed * 31 + number)
  let due = now()
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000, query_timeout: 20_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      for (;;) {
        if (rate === 0 || (only !== undefined && only % CONNECTIONS !== number)) {
          await pause(REPORT_MS)
          due = now()
          continue
        }
        due += (1_000 * (only === undefined ? CONNECTIONS : 1)) / rate
        const waitMs = due - now()
        if (waitMs > 1) await pause(waitMs)
        // What was missed while the server was away is not made up for.
        else if (waitMs < -1_000) due = now()
        await write(client, only ?? random(Math.floor(keys / CONNECTIONS)) * CONNECTIONS + number)
      }
    } catch {
      failed++
      await client.end().catch(() => {})
      await pause(RETRY_MS)
    }
  }
}

for (let number = 0; number < CONNECTIONS; number++) void runConnection(number)

function report() {
  if (acks.length === 0 && failed === 0) return
  process.send({ kind: 'acks', acks, failed })
  acks = []
  failed = 0
}

setInterval(report, REPORT_MS)

process.on('message', ({ do: what, id, ...wanted }) => {
  if (what === 'write') {
    rate = wanted.rate
    only = wanted.only
  }
  if (what === 'stop') process.exit(0)
  report()
  process.send({ kind: 'answer', id })
})
process.on('disconnect', () => process.exit(0))
process.send({ kind: 'ready' })
