/**
 * The blog's own routes. Each writes to PostgreSQL and answers; nothing here knows that anything reads through a cache.
 *
 * @param app the Fastify instance
 * @param pool a `pg` pool
 */
export function writes(app, pool) {
  /** Declares a route that runs one statement with the body's fields, and answers with the row that it returns. */
  const post = (path, fields, sql) => {
    app.post(path, async (request, reply) => {
      const { values, problem } = read(fields, request.body)
      const { status, body } = problem
        ? refused(problem)
        : await run(pool, sql, [...Object.values(request.params), ...values])
      return reply.code(status).send(body)
    })
  }

  post('/blog/sessions', { author: id }, 'insert into sessions (author_id) values ($1) returning id')
  post(
    '/blog/posts',
    { author: id, topic, title: text(200), body: text(20_000) },
    'insert into posts (author_id, topic, title, body) values ($1, $2, $3, $4) returning id',
  )
  post('/blog/posts/:id/title', { title: text(200) }, 'update posts set title = $2 where id = $1 returning id')
  post(
    '/blog/posts/:id/comments',
    { author: id, body: text(4000) },
    'insert into comments (post_id, author_id, body) values ($1, $2, $3) returning id',
  )
  // A second vote takes the first one back.
  post(
    '/blog/posts/:id/upvotes',
    { session: uuid },
    `with taken as (delete from upvotes where post_id = $1 and session_id = $2 returning 1),
          given as (insert into upvotes (post_id, session_id) select $1, $2 where not exists (select from taken)
                    on conflict do nothing returning 1)
     select exists (select from given) as voted`,
  )
}

const TOPICS = ['tides', 'harbours', 'lights', 'crossings']

const id = (value) => (/^[1-9]\d{0,17}$/.test(value) ? undefined : 'is not an id')
const uuid = (value) => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value) ? undefined : 'is not a session')
const topic = (value) => (TOPICS.includes(value) ? undefined : `is none of ${TOPICS.join(', ')}`)
const text = (max) => (value) => {
  if (typeof value !== 'string' || value.trim() === '') return 'is empty'
  if (value.length > max) return `is longer than ${max} characters`
  return value.includes('\0') ? 'has a character that no text can have (NUL)' : undefined
}

/** The fields in their order, or what is wrong, missing or surplus. */
function read(fields, body) {
  const given = typeof body === 'object' && body !== null ? body : {}
  const problems = Object.keys(given)
    .filter((name) => !Object.hasOwn(fields, name))
    .map((name) => `${name} is not a field`)
  for (const [name, check] of Object.entries(fields)) {
    const problem = check(given[name])
    if (problem) problems.push(`${name} ${problem}`)
  }
  return { values: Object.keys(fields).map((name) => given[name]), problem: problems.join('; ') }
}

async function run(pool, sql, values) {
  try {
    const { rows } = await pool.query(sql, values)
    return rows.length === 0 ? notHere : { status: 201, body: rows[0] }
  } catch (error) {
    // A row that it refers to is gone, or the address named none.
    if (['23503', '22P02', '22003'].includes(error.code)) return notHere
    if (/^(08|57|53)/.test(error.code) || error.code?.length !== 5) return down
    throw error
  }
}

const notHere = { status: 404, body: { detail: 'That is not here any more. Choose another one from the list.' } }
const down = {
  status: 503,
  body: { detail: 'The database does not answer. Nothing was saved: try again in a moment.' },
}

function refused(problem) {
  return { status: 400, body: { detail: `That cannot be saved: ${problem}.` } }
}
