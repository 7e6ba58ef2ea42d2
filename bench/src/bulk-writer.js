// Inserts rows in transactions of one statement each: `node bulk-writer.js <url> <transactions> <rows of each>`.
import pg from 'pg'

const [url, transactions, rows] = process.argv.slice(2)
const client = new pg.Client({ connectionString: url })
await client.connect()
const insert = `insert into bulk select i, i % 100, 'title ' || i, repeat('body ', 10), 0 from generate_series(1, $1::int) i`
for (let i = 0; i < Number(transactions); i++) await client.query(insert, [rows])
await client.end()
