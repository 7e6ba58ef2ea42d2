import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createClient } from '@tidemark/client'
import { serve } from '@tidemark/server'
import { makeFlags } from './flags.js'

try {
  const { values } = parseArgs({ options: { port: { type: 'string' }, data: { type: 'string' } } })
  const running = await serve({
    config: fileURLToPath(new URL('tidemark.yaml', import.meta.url)),
    dataDir: values.data ?? '.tidemark/flags',
    env: values.port === undefined ? process.env : { ...process.env, TIDEMARK_PORT: values.port },
    static: new URL('page/', import.meta.url),
    routes: serveClient,
  })
  await makeFlags(createClient({ url: running.url }))
  const change = `update tidemark_trees.configs set value = 'true' where tenant = 'shared' and path = '/new-checkout/on'`
  console.log(`Tidemark is ready: ${running.url}`)
  console.log(`
Open it, and switch a flag of all customers: it changes for those who did not say otherwise. SQL does the same:

psql ${running.database.embedded ? `'${running.database.url}'` : '"$DATABASE_URL"'} -c "${change}"
`)
} catch (error) {
  console.error(`${error.code ? `${error.code}: ` : ''}${error.message}`)
  process.exitCode = 1
}

/** The page has no build: its browser loads the client as it is. */
function serveClient(app) {
  const folder = new URL('.', import.meta.resolve('@tidemark/client'))
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.js'))) {
    const text = readFileSync(new URL(name, folder), 'utf8')
    app.get(`/client/${name}`, { config: { action: 'open' } }, (_, reply) =>
      reply.header('content-type', 'text/javascript; charset=utf-8').send(text),
    )
  }
}
