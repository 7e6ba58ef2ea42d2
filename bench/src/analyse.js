// The analysis of statements: `node analyse.js <url> <rounds>`, more than ten. Prints {"fresh": ms of our own for a text that was never seen (median), "trips": round
// trips for it, "known": ns for one that was}.
import pg from 'pg'
import { Analyst } from '../../packages/postgres/dist/sql/analyst.js'
import { describe } from '../../packages/postgres/dist/sql/describe.js'
import { median } from './measure.js'

const [url, rounds] = process.argv.slice(2)
const ROUNDS = Number(rounds)
const client = new pg.Client({ connectionString: url })
await client.connect()
await client.query(`
  create table if not exists authors (id bigint primary key, name text not null, country text);
  create table if not exists comments (id bigint primary key, post_id bigint, user_id bigint, body text, at timestamptz);
  create or replace view popular as select p.*, a.name from posts p join authors a on a.id = p.author_id where p.upvotes > 10`)

/** As programs and their ORMs write them; `#` makes each one new. */
const texts = [
  'select * from posts where id = $1 /*#*/',
  'select id, title from posts where author_id = $1 order by id desc limit 20 /*#*/',
  'select "posts"."id", "posts"."title", "posts"."body" from "posts" where ("posts"."author_id" = $1 and "posts"."upvotes" > $2) /*#*/',
  'select p.*, a.name from posts p join authors a on a.id = p.author_id where p.id = $1 /*#*/',
  'select p.id, count(c.id) as comments from posts p left join comments c on c.post_id = p.id where p.author_id = $1 group by p.id /*#*/',
  'select * from posts where id in ($1, $2, $3) /*#*/',
  'select * from posts p where exists (select from comments c where c.post_id = p.id and c.user_id = $1) /*#*/',
  'with recent as (select * from comments where at > $1) select p.title, r.body from posts p join recent r on r.post_id = p.id where p.id = $2 /*#*/',
  'select count(*) from comments where post_id = $1 /*#*/',
  'select * from popular where author_id = $1 /*#*/',
  'select a.*, (select count(*) from posts p where p.author_id = a.id) as posts from authors a where a.id = $1 /*#*/',
  'select id from posts where author_id = $1 union all select post_id from comments where user_id = $2 /*#*/',
]
let asking = 0
let trips = 0
async function timed(run) {
  const begin = performance.now()
  trips++
  try {
    return await run()
  } finally {
    asking += performance.now() - begin
  }
}
const server = {
  ask: (text, values) => timed(async () => (await client.query({ text, values, rowMode: 'array' })).rows[0][0]),
  describe: (text) => timed(() => describe((query) => client.query(query), text)),
}
const analyst = new Analyst(() => 1)
const fresh = []
const counts = []
for (let round = 0; round < ROUNDS; round++) {
  for (const text of texts) {
    asking = trips = 0
    const begin = performance.now()
    await analyst.analyse(text.replace('#', String(round)), '', server)
    // The first rounds compile.
    if (round < 10) continue
    fresh.push(performance.now() - begin - asking)
    counts.push(trips)
  }
}
const known = texts.map((text) => text.replace('#', String(ROUNDS - 1)))
const passes = []
for (let pass = 0; pass < 9; pass++) {
  const begin = performance.now()
  for (let i = 0; i < 20_000; i++) await analyst.analyse(known[i % known.length], '', server)
  passes.push(((performance.now() - begin) / 20_000) * 1e6)
}
console.log(JSON.stringify({ fresh: median(fresh), trips: median(counts), known: median(passes) }))
process.exit()
