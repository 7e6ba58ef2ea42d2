import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbedded } from '@tidemark/embedded'
import { now } from '../clock.js'

/** A standby of the primary, from a copy of its files. */
async function standbyOf(load) {
  const { server } = load
  const dataDir = load.folder('standby')
  await load.admin(async (client) => {
    await client.query("select pg_backup_start('standby', true)")
    copy(join(server.dataDir, 'postgres'), join(dataDir, 'postgres'))
    const { rows } = await client.query('select labelfile from pg_backup_stop(false)')
    fs.writeFileSync(join(dataDir, 'postgres', 'backup_label'), rows[0].labelfile)
  })
  fs.writeFileSync(join(dataDir, 'postgres', 'standby.signal'), '')
  giveTo(join(dataDir, 'postgres'), fs.statSync(join(server.dataDir, 'postgres')))
  const primary_conninfo = `host=${server.socketDir} port=5432 user=postgres`
  return startEmbedded({
    dataDir,
    isDurable: false,
    settings: { primary_conninfo, wal_receiver_status_interval: '1s' },
  })
}

export const promote = {
  title: 'F14: a standby is promoted',
  staleMs: 5_000,
  async run(load, report) {
    const primary = load.server
    const standby = await standbyOf(load)
    load.standbys.push(standby)
    await load.until(
      async () =>
        (
          await load.admin(
            "select from pg_stat_replication where state = 'streaming' and application_name = 'walreceiver'",
          )
        ).length > 0,
      'the standby streams',
    )
    await sleep(500)
    const faultAt = now()
    primary.kill()
    await load.moveTo(standby)
    await load.admin('select pg_promote()')
    const at = now()
    // What the primary had acknowledged and the standby never got is lost.
    await load.restored()
    await load.recovered()
    report.goal('every process keeps again after the promotion, ms', now() - at, 30_000)
    sameNewEpoch(load, report, faultAt)
  },
}

export const restore = {
  title: 'F14: an older copy of the files is restored',
  staleMs: 5_000,
  async run(load, report, { isSmoke }) {
    const { server } = load
    const files = join(server.dataDir, 'postgres')
    const older = load.folder('older')
    await server.stop()
    copy(files, older)
    await server.restart()
    await load.recovered()
    await sleep(isSmoke ? 1_000 : 6_000)
    const faultAt = now()
    server.kill()
    // The postmaster must be gone before its files are replaced.
    await server.stop()
    fs.rmSync(files, { recursive: true })
    fs.cpSync(older, files, { recursive: true })
    giveTo(files, fs.statSync(older))
    await server.restart()
    const at = now()
    await load.restored()
    await load.recovered()
    report.goal('every process keeps again after the restore, ms', now() - at, 30_000)
    sameNewEpoch(load, report, faultAt)
  },
}

/** All processes name the new history alike, and none as the one before. */
function sameNewEpoch(load, report, faultAt) {
  const epochs = new Set(load.alive.map(({ status }) => status.position.split(':')[0]))
  const before = new Set(load.statuses.filter(({ at }) => at < faultAt).map(({ position }) => position?.split(':')[0]))
  report.goal('epochs that the processes name', epochs.size, 1)
  report.goal('of them the one before the fault', [...epochs].filter((epoch) => before.has(epoch)).length, 0)
}

function copy(from, to) {
  fs.cpSync(from, to, { recursive: true, filter: (path) => !/postmaster\.(pid|opts)$|pg_replslot\/./.test(path) })
  giveTo(to, fs.statSync(from))
}

/** The server's account must own its files. */
function giveTo(folder, { uid, gid }) {
  fs.chownSync(folder, uid, gid)
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) giveTo(path, { uid, gid })
    else fs.lchownSync(path, uid, gid)
  }
}
