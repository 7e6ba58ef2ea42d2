import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '@tidemark/embedded'
import { dropDatabase } from '@tidemark/embedded/testing'

/** A PostgreSQL of our own, in which each world has a database. */
export interface CheckServer {
  readonly version: string
  createDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }>
  stop(): Promise<void>
}

/** Where Debian has the binaries of other releases. */
const debianBinaries = (major: string): string => `/usr/lib/postgresql/${major}/bin`

/** @param release  18 is the embedded one; another is Debian's, or a folder of binaries */
export async function startServer(release: string): Promise<CheckServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tidemark-check-'))
  const binDir = release === '18' ? undefined : release.includes('/') ? release : debianBinaries(release)
  const server = await startEmbedded({
    dataDir,
    isDurable: false,
    // JIT makes the many different statements several times slower, and right or wrong all the same.
    // A world that is made small may lose the COMMIT that others wait for.
    settings: { autovacuum: 'off', jit: 'off', lock_timeout: '20s' },
    ...(binDir !== undefined && { binDir }),
  })
  let count = 0
  return {
    version: server.serverVersion,
    async createDatabase() {
      const name = `check_${++count}`
      return { url: await server.createDatabase(name), drop: () => dropDatabase(server, name) }
    },
    async stop() {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
