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
      const values = [...Object.values(request.params), ...read(fields, request.body)]
      const { rows } = await pool.query(sql, values).catch((error) => Promise.reject(toAnswer(error)))
      if (rows.length === 0) throw notHere()
      return reply.code(201).send(rows[0])
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

/** The fields in their order; a request with wrong, missing or surplus ones is refused with what is wrong. */
function read(fields, body) {
  const given = typeof body === 'object' && body !== null ? body : {}
  const problems = Object.keys(given)
    .filter((name) => !Object.hasOwn(fields, name))
    .map((name) => `${name} is not a field`)
  for (const [name, check] of Object.entries(fields)) {
    const problem = check(given[name])
    if (problem) problems.push(`${name} ${problem}`)
  }
  if (problems.length > 0) throw answer(400, `That cannot be saved: ${problems.join('; ')}.`)
  return Object.keys(fields).map((name) => given[name])
}

function toAnswer(error) {
  if (error.code === '23503' || error.code === '22P02' || error.code === '22003') return notHere()
  if (error.code?.length === 5) return error
  return answer(503, 'The database does not answer. Your text was not saved: try again in a moment.')
}

function notHere() {
  return answer(404, 'That is not here any more. Choose another one from the list.')
}

function answer(statusCode, message) {
  return Object.assign(new Error(message), { statusCode })
}
