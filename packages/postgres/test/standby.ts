import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Embedded, startEmbedded } from '@tidemark/embedded'
import type { Client } from 'pg'
import { isBefore } from '../../../test/machine.js'

const binDir = process.env.TIDEMARK_TEST_POSTGRES

export interface Standby {
  readonly server: Embedded
  /** Stops it and removes its files. */
  end(): Promise<void>
}

/**
 * A standby of a server, from a copy of its files.
 *
 * @param admin  a superuser's connection to it
 * @param settings  of the standby
 * @param database  that the standby connects to, where it needs one
 */
export async function standbyOf(
  primary: Embedded,
  admin: Client,
  settings: Readonly<Record<string, string>> = {},
  database?: string,
): Promise<Standby> {
  const dataDir = fs.mkdtempSync(join(tmpdir(), 'tidemark-standby-'))
  const files = join(dataDir, 'postgres')
  const [start, stop] = isBefore(15)
    ? ['pg_start_backup', 'pg_stop_backup(false)']
    : ['pg_backup_start', 'pg_backup_stop(false)']
  await admin.query(`select ${start}('standby', true${isBefore(15) ? ', false' : ''})`)
  fs.cpSync(join(primary.dataDir, 'postgres'), files, {
    recursive: true,
    filter: (path) => !/postmaster\.(pid|opts)$|pg_replslot\/./.test(path),
  })
  const { rows } = await admin.query(`select labelfile from ${stop}`)
  fs.writeFileSync(join(files, 'backup_label'), rows[0].labelfile)
  fs.writeFileSync(join(files, 'standby.signal'), '')
  giveTo(files, fs.statSync(join(primary.dataDir, 'postgres')))
  const address = `host=${primary.socketDir} port=5432 user=postgres${database === undefined ? '' : ` dbname=${database}`}`
  const server = await startEmbedded({
    dataDir,
    isDurable: false,
    ...(binDir ? { binDir } : {}),
    settings: { primary_conninfo: address, wal_receiver_status_interval: '1s', ...settings },
  })
  return {
    server,
    async end() {
      await server.stop()
      fs.rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** Makes the files those of an account: PostgreSQL reads only its own. */
export function giveTo(folder: string, { uid, gid }: Pick<fs.Stats, 'uid' | 'gid'>): void {
  fs.chownSync(folder, uid, gid)
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) giveTo(path, { uid, gid })
    else fs.lchownSync(path, uid, gid)
  }
}
