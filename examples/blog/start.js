import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { serve } from '@tidemark/server'
import pg from 'pg'
import { seed } from './seed.js'
import { writes } from './writes.js'

try {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, data: { type: 'string' }, role: { type: 'string' } },
  })
  const running = await serve({
    config: fileURLToPath(new URL('tidemark.yaml', import.meta.url)),
    dataDir: values.data,
    role: values.role,
    env: values.port === undefined ? process.env : { ...process.env, TIDEMARK_PORT: values.port },
    static: new URL('page/', import.meta.url),
    seed: ({ url }) => withClient(url, seed),
    routes(app, { url }) {
      const pool = new pg.Pool({ connectionString: url, max: 5, connectionTimeoutMillis: 5000 })
      // An idle connection that breaks is replaced at the next write.
      pool.on('error', () => {})
      app.addHook('onClose', () => pool.end())
      writes(app, pool)
    },
  })
  const change = `update posts set title = 'Changed from psql' where id = 1`
  console.log(`Tidemark is ready: ${running.url}`)
  console.log(`
Open it, then paste this into a second terminal and watch the page:

psql ${running.database.embedded ? `'${running.database.url}'` : '"$DATABASE_URL"'} -c "${change}"

Where there is no psql, this does the same: npx tidemark sql "${change}"
`)
} catch (error) {
  console.error(`${error.code ? `${error.code}: ` : ''}${error.message}`)
  process.exitCode = 1
}

async function withClient(url, run) {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    await run(client)
  } finally {
    await client.end()
  }
}
