import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '@tidemark/embedded'
import pg from 'pg'

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
    settings: { autovacuum: 'off', jit: 'off' },
    ...(binDir !== undefined && { binDir }),
  })
  const admin = new pg.Client({ connectionString: server.url })
  admin.on('error', () => {})
  await admin.connect()
  let count = 0
  return {
    version: server.serverVersion,
    async createDatabase() {
      const name = `check_${++count}`
      await admin.query(`create database ${name}`)
      return { url: server.databaseUrl(name), drop: () => dropDatabase(admin, name) }
    },
    async stop() {
      await admin.end()
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function dropDatabase(admin: pg.Client, name: string): Promise<void> {
  // A slot keeps its database, even from DROP … WITH (FORCE).
  const ours = 'from pg_replication_slots where database = $1'
  await admin.query(`select pg_terminate_backend(active_pid, 5000) ${ours} and active`, [name])
  await admin.query(`select pg_drop_replication_slot(slot_name) ${ours} and not active`, [name])
  await admin.query(`drop database ${name} with (force)`)
}
