import { readFile } from 'node:fs/promises'
import { authors, comments, paragraphs, posts, welcome } from './seed-text.js'

const TABLES = ['authors', 'sessions', 'posts', 'comments', 'upvotes']
const OURS = 'Tidemark example blog'

/**
 * Creates the blog's tables with a few hundred rows, the same at every first start. Does nothing where they are already there.
 *
 * @param client a connected `pg` client
 * @returns whether the tables were made now
 * @throws Error if tables of these names exist that are not the blog's; nothing is changed then
 */
export async function seed(client) {
  await client.query('begin')
  try {
    // Two starts on one new database: the second waits here, and then finds the tables.
    await client.query(`select pg_advisory_xact_lock(hashtext('${OURS}'))`)
    const made = !(await isSeeded(client))
    if (made) await fill(client)
    await client.query('commit')
    return made
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

async function isSeeded(client) {
  const { rows } = await client.query(
    `select relname as name, obj_description(oid, 'pg_class') = $2 as ours from pg_class
     where relnamespace = current_schema()::regnamespace and relname = any($1)`,
    [TABLES, OURS],
  )
  if (rows.some((row) => row.ours)) return true
  if (rows.length === 0) return false
  const names = rows.map((row) => row.name).join(', ')
  throw new Error(
    `This database already has tables that the blog would create (${names}). Nothing was changed. ` +
      'Give the blog an empty database in DATABASE_URL, or unset DATABASE_URL to use the built-in one.',
  )
}

async function fill(client) {
  await client.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'))
  await client.query('insert into authors (name, about) select * from unnest($1::text[], $2::text[])', [
    authors.map(([name]) => name),
    authors.map(([, about]) => about),
  ])
  const written = writePosts()
  await insert(
    client,
    'posts',
    'author_id bigint, topic text, status text, pinned boolean, title text, body text, created_at timestamptz',
    written,
  )
  await insert(
    client,
    'comments',
    'post_id bigint, author_id bigint, body text, created_at timestamptz',
    writeComments(written),
  )
  const { rows: sessions } = await client.query(
    `insert into sessions (id, author_id, started_at)
     select md5('visitor ' || n)::uuid, 1 + n % $1, timestamptz '2026-06-01' + n * interval '7 hours' from generate_series(1, 40) n
     returning id`,
    [authors.length],
  )
  await insert(client, 'upvotes', 'post_id bigint, session_id uuid', vote(written, sessions))
}

async function insert(client, table, columns, rows) {
  const names = columns.replace(/ \w+(,|$)/g, '$1')
  await client.query(`insert into ${table} (${names}) select ${names} from json_to_recordset($1) as r(${columns})`, [
    JSON.stringify(rows),
  ])
}

/** The welcome first, so that its id is 1; then one post of each topic in turn, oldest first. */
function writePosts() {
  const random = mulberry(9400)
  const all = [{ author_id: 1, topic: 'tides', status: 'live', pinned: true, ...welcome, created_at: day(0) }]
  const turns = Object.values(posts)[0].length
  for (let turn = 0; turn < turns; turn++) {
    for (const [topic, list] of Object.entries(posts)) {
      const [title, lead] = list[turn]
      const body = [lead, ...pick(paragraphs, 2 + Math.floor(random() * 3), random)].join('\n\n')
      const status = all.length % 15 === 14 ? 'draft' : 'live'
      const author_id = 1 + Math.floor(random() * authors.length)
      all.push({ author_id, topic, status, pinned: false, title, body, created_at: day(all.length * 5 + random() * 4) })
    }
  }
  return all
}

function writeComments(written) {
  const random = mulberry(9401)
  return written.flatMap((post, index) =>
    pick(comments, Math.floor(random() * 7), random).map((body, nth) => ({
      post_id: index + 1,
      author_id: 1 + Math.floor(random() * authors.length),
      body,
      created_at: new Date(post.created_at.getTime() + (nth + 1) * 7_000_000 * (1 + random())),
    })),
  )
}

function vote(written, sessions) {
  const random = mulberry(9402)
  return written.flatMap((_, index) =>
    pick(sessions, Math.floor(random() * 10), random).map(({ id }) => ({ post_id: index + 1, session_id: id })),
  )
}

function day(days) {
  return new Date(Date.UTC(2025, 10, 1) + days * 86_400_000)
}

function pick(from, count, random) {
  const left = [...from]
  return Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1)[0])
}

/** A small generator of numbers in [0, 1) that gives the same ones for the same seed (Tommy Ettinger's mulberry32). */
function mulberry(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
