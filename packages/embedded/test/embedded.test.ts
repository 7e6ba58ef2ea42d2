import { execFileSync, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { type Embedded, type EmbeddedOptions, runningUrl, startEmbedded } from '../src/index.js'
import { until } from './until.js'

const servers: Embedded[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true })
})

test('a started server answers SQL on its socket and can be followed', async () => {
  const server = await start({ dataDir: folder() })
  expect(server.serverVersion).toMatch(/^18\./)
  expect(await ask(server.url, 'show wal_level')).toEqual([['logical']])
  expect(await ask(server.url, 'show listen_addresses')).toEqual([['']])
  expect(Number((await ask(server.url, 'show max_replication_slots'))[0]![0])).toBeGreaterThanOrEqual(50)
  const slot = `select count(*) from pg_create_logical_replication_slot('s', 'pgoutput', true)`
  expect(await ask(server.url, slot)).toEqual([['1']])
})

test('only the account of the server can enter the folder of its socket', async () => {
  const server = await start({ dataDir: folder() })
  const { mode, uid } = fs.statSync(server.socketDir)
  expect(mode & 0o777).toBe(0o700)
  expect(uid).toBe(fs.statSync(join(server.dataDir, 'postgres')).uid)
  if (process.geteuid!() === 0) expect(uid).not.toBe(0)
})

test.skipIf(lacks('psql'))('the connection string serves as it is (needs psql)', async () => {
  const server = await start({ dataDir: folder() })
  expect(execFileSync('psql', [server.url, '-Atc', 'select 6 * 7'], { encoding: 'utf8' })).toBe('42\n')
})

test('the environment of this process changes neither the server nor the way to it', async () => {
  const before = { ...process.env }
  Object.assign(process.env, {
    PGPORT: '1',
    PGDATA: '/nowhere',
    LANG: 'xx_XX.UTF-8',
    LC_ALL: 'xx_XX',
    TZ: 'Asia/Tokyo',
  })
  try {
    const server = await start({ dataDir: folder() })
    expect(await ask(server.url, 'show timezone')).toEqual([['UTC']])
    expect(await ask(server.url, `select upper('straße ñ')`)).toEqual([['STRASSE Ñ'.replace('SS', 'ß')]])
  } finally {
    process.env = before
  }
})

test('what was written is there after stop and start on the same folder', async () => {
  const dataDir = folder()
  const first = await start({ dataDir })
  await ask(first.url, 'create table kept as select 7 as n')
  await first.stop()
  expect(fs.existsSync(first.socketDir)).toBe(false)
  const second = await start({ dataDir })
  expect(await ask(second.url, 'select n from kept')).toEqual([['7']])
})

test('a database is made once, under any name, and has an address of its own', async () => {
  const server = await start({ dataDir: folder() })
  const name = `Blog "№ 1" / é%20&a=b`
  const url = await server.createDatabase(name)
  expect(await server.createDatabase(name)).toBe(url)
  expect(await ask(url, 'select current_database()')).toEqual([[name]])
})

test('settings of the caller win over the defaults', async () => {
  const server = await start({ dataDir: folder(), settings: { max_wal_senders: '3', 'app.name': `it's "x"` } })
  expect(await ask(server.url, 'show max_wal_senders')).toEqual([['3']])
  expect(await ask(server.url, 'show app.name')).toEqual([[`it's "x"`]])
})

test('a path with spaces, quotes and other letters, below a folder that others cannot enter', async () => {
  const parent = folder()
  fs.chmodSync(parent, 0o700)
  const server = await start({ dataDir: join(parent, `Ein "Ordner" d'été № 1 $HOME`, 'tief') })
  await ask(server.url, 'create table t as select 1 as n')
  await server.restart()
  expect(await ask(server.url, 'select n from t')).toEqual([['1']])
})

test('a temporary folder that is too deep, or that the server cannot enter, is not used for the socket', async () => {
  const [closed, deep] = [folder(), join(folder(), 'x'.repeat(100))]
  fs.mkdirSync(deep)
  const before = process.env.TMPDIR
  try {
    for (const temporary of [closed, deep]) {
      process.env.TMPDIR = temporary
      const server = await start({ dataDir: folder('/tmp') })
      expect(await ask(server.url, 'select 1')).toEqual([['1']])
    }
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
})

test('a folder in use names the process that uses it', async () => {
  const dataDir = folder()
  const server = await start({ dataDir })
  await expect(startEmbedded({ dataDir })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_IN_USE', pid: process.pid })
  expect(await ask(server.url, 'select 1')).toEqual([['1']])
})

test('programs beside the one that started the server find it by its folder', async () => {
  const server = await start({ dataDir: folder() })
  expect(runningUrl(server.dataDir)).toBe(server.url)
  await server.stop()
  expect(runningUrl(server.dataDir)).toBeUndefined()
  expect(runningUrl(folder())).toBeUndefined()
})

test('a killed server comes back under its address with what was committed', async () => {
  const server = await start({ dataDir: folder() })
  await ask(server.url, 'create table t as select 1 as n')
  const before = server.pid
  server.kill()
  await server.restart()
  expect(server.pid).not.toBe(before)
  expect(await ask(server.url, 'select n from t')).toEqual([['1']])
})

test('a server that ends by itself is told, one that was stopped is not', async () => {
  const exits: string[] = []
  const server = await start({ dataDir: folder(), onExit: (how) => exits.push(how) })
  process.kill(server.pid, 'SIGKILL')
  await until(() => exits.length === 1)
  await server.restart()
  expect(await ask(server.url, 'select 1')).toEqual([['1']])
  await server.stop()
  await server.stop()
  expect(exits).toHaveLength(1)
})

test('the log has what the server says', async () => {
  const lines: string[] = []
  const server = await start({ dataDir: folder(), log: (line) => lines.push(line) })
  await ask(server.url, `do $$ begin raise log 'said by the server'; end $$`)
  await until(() => lines.some((line) => line.includes('said by the server')))
})

test('a lock that names a pid which another program has now does not block the start', async () => {
  const dataDir = folder()
  await (await start({ dataDir })).stop()
  // As after a power cut. PostgreSQL itself refuses to start if the program that has the pid now is of its own account.
  const { uid, gid } = fs.statSync(join(dataDir, 'postgres'))
  const program = spawn('sleep', ['600'], { uid, gid, stdio: 'ignore' })
  try {
    fs.writeFileSync(join(dataDir, 'postgres/postmaster.pid'), `${program.pid}\n${dataDir}/postgres\n1\n5432\n\n\n`)
    const server = await start({ dataDir })
    expect(await ask(server.url, 'select 1')).toEqual([['1']])
  } finally {
    program.kill('SIGKILL')
  }
})

test('data of another major version is refused and left alone', async () => {
  const dataDir = folder()
  fs.mkdirSync(join(dataDir, 'postgres'))
  giveAway(join(dataDir, 'postgres'))
  fs.writeFileSync(join(dataDir, 'postgres/PG_VERSION'), '15\n')
  await expect(start({ dataDir })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_VERSION', found: '15', wanted: '18' })
  expect(fs.readdirSync(join(dataDir, 'postgres'))).toEqual(['PG_VERSION'])
})

test('a folder that holds something else is refused and left alone', async () => {
  const dataDir = folder()
  fs.mkdirSync(join(dataDir, 'postgres'))
  giveAway(join(dataDir, 'postgres'))
  fs.writeFileSync(join(dataDir, 'postgres/thesis.txt'), 'important')
  await expect(start({ dataDir })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_FOLDER' })
  expect(fs.readFileSync(join(dataDir, 'postgres/thesis.txt'), 'utf8')).toBe('important')
})

test('a file in the place of the folder is refused', async () => {
  const file = join(folder(), 'file')
  fs.writeFileSync(file, '')
  await expect(start({ dataDir: file })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_FOLDER' })
  await expect(start({ dataDir: join(file, 'below') })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_FOLDER' })
})

test('a setting that PostgreSQL refuses is reported with what it printed, and nothing is left', async () => {
  // A temporary folder of its own: other tests start servers at the same time.
  const temporary = fs.mkdtempSync('/tmp/refused-')
  fs.chmodSync(temporary, 0o777)
  const before = process.env.TMPDIR
  process.env.TMPDIR = temporary
  try {
    const refused = start({ dataDir: folder(), settings: { shared_buffers: 'plenty' } })
    await expect(refused).rejects.toMatchObject({ code: 'TIDEMARK_EMBEDDED_START' })
    await expect(refused).rejects.toThrow(/shared_buffers/)
    expect(fs.readdirSync(temporary).filter((name) => /^tidemark-.{6}$/.test(name))).toEqual([])
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    fs.rmSync(temporary, { recursive: true, force: true })
  }
})

test('a machine without binaries is told so', async () => {
  const { value: arch } = Object.getOwnPropertyDescriptor(process, 'arch')!
  Object.defineProperty(process, 'arch', { value: 's390x' })
  try {
    await expect(start({ dataDir: folder() })).rejects.toMatchObject({ code: 'TIDEMARK_EMBEDDED_UNSUPPORTED' })
  } finally {
    Object.defineProperty(process, 'arch', { value: arch })
  }
})

test.skipIf(lacks('postgresql-15'))('starts the binaries that it is given (needs postgresql-15)', async () => {
  const dataDir = folder()
  const server = await start({ dataDir, binDir: '/usr/lib/postgresql/15/bin' })
  expect(server.serverVersion).toMatch(/^15\./)
  expect(await ask(server.url, "select 'größer' > 'groß'")).toEqual([['t']])
  await server.stop()
  await expect(startEmbedded({ dataDir })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_VERSION' })
})

test('a folder without binaries is refused by name', async () => {
  const binDir = folder()
  const refused = startEmbedded({ dataDir: folder(), binDir })
  await expect(refused).rejects.toMatchObject({
    code: 'TIDEMARK_EMBEDDED_UNSUPPORTED',
    message: `There is no PostgreSQL that can be run in ${binDir}.`,
  })
})

async function start(options: EmbeddedOptions): Promise<Embedded> {
  const server = await startEmbedded({ isDurable: false, ...options })
  servers.push(server)
  return server
}

function folder(parent = tmpdir()): string {
  const made = fs.mkdtempSync(join(parent, 'tidemark-embedded-'))
  folders.push(made)
  return made
}

/** As root, data is another user's: the server does not run as root. */
function giveAway(path: string): void {
  if (process.geteuid!() === 0) fs.chownSync(path, 65534, 65534)
}

async function ask(url: string, sql: string): Promise<string[][]> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => String } })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows as string[][]
  } finally {
    await client.end()
  }
}
