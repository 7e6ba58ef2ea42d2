// How many records a second the journal takes in: `node journal.js <url> <records>`. Each is a request of its own, as the log delivers
// them; as many as there is room for. Prints {"rate": records/s}.
import { Journal } from '@tidemark/postgres'

const [url, count] = process.argv.slice(2)
const WAITING_MAX = 10_000
const journal = new Journal({}, { url, slot: 'bench' })
const stretch = journal.begin({ slot: 'bench', epoch: 'bench', from: 1, again: () => {} })
await journal.flush(AbortSignal.timeout(60_000))
const begin = performance.now()
for (let i = 0; i < Number(count); i++) {
  while (journal.status().waiting >= WAITING_MAX) await new Promise((resolve) => setTimeout(resolve, 1))
  const by = { actor: `user ${i % 100}`, requestId: `request ${i}` }
  const targets = [{ kind: 'key', tenant: `tenant ${i % 10}`, key: `user:${i}` }]
  const changes = [{ kind: 'target', mode: 'drop', nonce: `${i}`, targets, by }]
  stretch.committed({ endLsn: 100 + i, xid: i, committedAt: Date.now(), changes })
}
if (!(await journal.flush(AbortSignal.timeout(120_000)))) throw new Error('The journal did not write all.')
console.log(JSON.stringify({ rate: (Number(count) / (performance.now() - begin)) * 1_000 }))
process.exit()
