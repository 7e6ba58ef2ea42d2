import pg from 'pg'

/**
 * The floor of following: a bare replication connection that takes every message and looks at none but commits.
 *
 * @param committed  called with a commit's own time, in ms since 1970, and its position
 */
export async function followRaw(url, slot, committed) {
  const client = new pg.Client({ connectionString: url, replication: 'database' })
  await client.connect()
  await client.query(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY LOGICAL pgoutput`)
  client.connection.on('copyData', ({ chunk }) => {
    const isCommit = chunk[0] === 0x77 && chunk[25] === 0x43
    // Behind flags and its own position: where it ends, and microseconds since 2000.
    if (isCommit)
      committed(Number(chunk.readBigInt64BE(25 + 18)) / 1_000 + 946_684_800_000, String(chunk.readBigUInt64BE(25 + 10)))
  })
  client
    .query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'bench')`)
    .catch(() => {})
  await new Promise((resolve) => client.connection.once('replicationStart', resolve))
}

/** A cache that follows the same, as in production, and holds a post. */
export async function followCached(url, publication, applied, options = {}) {
  const { createCache } = await import('tidemark')
  const { postgres } = await import('@tidemark/postgres')
  const cache = createCache({ source: postgres({ url, publication, selfCheck: 'sampled', ...options }) })
  const post = cache.define('post', ({ sql }, id) => sql.one`select * from posts where id = ${id}`)
  const end = performance.now() + 60_000
  while (post.peek(1) === undefined) {
    if (performance.now() > end) throw new Error('Nothing was kept within 60 s.')
    await post(1)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  cache.on('applied', applied)
  return { cache, post }
}
