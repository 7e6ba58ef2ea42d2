// What clients of the service do to it, and to each other. A scenario has a title, the server's
// limits, and `run({ server, scale, entries, open, flooding }, lines)`: `open` makes a client in this process, `flooding` one in its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '@tidemark/embedded'
import { Child } from '../child.js'
import { Client, Issuer } from './client.js'
import { everything } from './everything.js'
import { flood } from './flood.js'
import { huge } from './huge.js'

export const scenarios = [huge, everything, flood]

/** Runs `scenario` with a service of its own, and ends all of it. */
export async function runService(scenario, lines, scale) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-chaos-'))
  const issuer = new Issuer()
  const jwks = join(folder, 'jwks.json')
  writeFileSync(jwks, issuer.jwks)
  const clients = []
  const children = []
  let database
  let server
  try {
    database = await startEmbedded({ dataDir: join(folder, 'data'), isDurable: false })
    const url = await database.createDatabase('chaos')
    const entries = scale.isSmoke ? 60_000 : 1_200_000
    server = new Child('service/server-process.js', { url, jwks, entries, limits: scenario.limits(scale) })
    await server.ready
    const { url: address } = await server.ask({ do: 'where' })
    const open = (sub, tenant, connections) => {
      const client = new Client(address, issuer.bearer(sub, tenant), connections)
      clients.push(client)
      return client
    }
    const flooding = (sub, tenant) => {
      const child = new Child('service/flood-process.js', { address, headers: issuer.bearer(sub, tenant) })
      children.push(child)
      return child
    }
    await scenario.run({ server, scale, entries, open, flooding }, lines)
  } finally {
    for (const child of children) await child.end()
    for (const client of clients) client.close()
    await server?.end()
    await database?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
