// Updates single rows, each its own transaction, over four connections: `node rate-writer.js <url> <commits/s> <seconds>`; with 0 as fast as
// they are answered. Prints {"commits", "ms"}.
import pg from 'pg'

const [url, rate, seconds] = process.argv.slice(2)
const CONNECTIONS = 4
const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS })
let commits = 0
const update = () =>
  pool.query({
    name: 'u',
    text: 'update posts set upvotes = upvotes + 1 where id = $1',
    values: [(commits++ % 1_000) + 1],
  })
const begin = performance.now()
const passed = () => performance.now() - begin
if (Number(rate) === 0) {
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (passed() < Number(seconds) * 1_000) await update()
    }),
  )
} else {
  const open = []
  while (passed() < Number(seconds) * 1_000) {
    while (commits < (passed() / 1_000) * Number(rate)) open.push(update())
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(open)
}
const ms = passed()
await pool.end()
console.log(JSON.stringify({ commits, ms }))
