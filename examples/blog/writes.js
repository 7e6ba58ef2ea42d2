/**
 * The blog's own routes. Each writes to PostgreSQL and answers; nothing here knows that anything reads through a cache.
 *
 * @param app the Fastify instance
 * @param pool a `pg` pool
 */
export function writes(app, pool) {
  const post = (path, body, run) =>
    app.post(path, { schema: { params, body: object(body) } }, async (request, reply) => {
      const { rows } = await pool.query(...run(request.body, request.params))
      if (rows.length === 0) return reply.code(404).send({ detail: 'That is not here any more. Choose another one from the list.' })
      return reply.code(201).send(rows[0])
    })
}
