import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../src/index.js'
import { type Owner, type OwnerProgram, ownerProgram } from './owner.js'
import { until } from './until.js'

let program: OwnerProgram
const owners: Owner[] = []
const servers: Embedded[] = []
const folders: string[] = []

beforeAll(async () => {
  program = await ownerProgram('linked')
})

afterEach(async () => {
  for (const owner of owners.splice(0)) {
    owner.process.kill('SIGKILL')
    await owner.ended
  }
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  for (const folder of folders.splice(0)) {
    const lock = join(folder, 'postgres/postmaster.pid')
    await until(() => !fs.existsSync(lock))
    fs.rmSync(folder, { recursive: true, force: true })
  }
})

afterAll(() => program.remove())

test('kill -9 of the process stops its server, and the next start finds what was committed', async () => {
  const dataDir = folder()
  const owner = run({ dataDir })
  const { url, pid } = await running(owner)
  await ask(url, 'create table t as select 1 as n')
  owner.process.kill('SIGKILL')
  await until(() => !isAlive(pid))
  const next = await start({ dataDir })
  expect(await ask(next.url, 'select n from t')).toEqual([{ n: 1 }])
})

test('a start right after kill -9 waits for the old server to stop', async () => {
  const dataDir = folder()
  const owner = run({ dataDir })
  const { url } = await running(owner)
  await ask(url, 'create table t as select 1 as n')
  owner.process.kill('SIGKILL')
  await owner.ended
  const next = await start({ dataDir })
  expect(await ask(next.url, 'select n from t')).toEqual([{ n: 1 }])
})

test('a server that lost its process and its guard is stopped by the next start', async () => {
  const dataDir = folder()
  const owner = run({ dataDir })
  const { pid, url } = await running(owner)
  await ask(url, 'create table t as select 1 as n')
  const guard = parentOf(pid)!
  for (const child of childrenOf(guard)) if (child !== pid) process.kill(child, 'SIGKILL')
  process.kill(guard, 'SIGKILL')
  owner.process.kill('SIGKILL')
  await owner.ended
  expect(isAlive(pid)).toBe(true)
  const next = await start({ dataDir })
  expect(isAlive(pid)).toBe(false)
  expect(await ask(next.url, 'select n from t')).toEqual([{ n: 1 }])
})

test('kill -9 while the data folder is being made leaves nothing that blocks the next start', async () => {
  const dataDir = folder()
  const owner = run({ dataDir })
  const parts = () => fs.readdirSync(dataDir).filter((name) => name.startsWith('initdb-'))
  await until(() => parts().length > 0 && fs.existsSync(join(dataDir, parts()[0]!, 'base')))
  owner.process.kill('SIGKILL')
  await owner.ended
  await owner.said.catch(() => {})
  const next = await start({ dataDir })
  expect(await ask(next.url, 'select 1 as n')).toEqual([{ n: 1 }])
  await until(() => parts().length === 0)
})

test('a folder that another process uses is refused, with that process named', async () => {
  const dataDir = folder()
  const owner = run({ dataDir })
  const { url } = await running(owner)
  await expect(startEmbedded({ dataDir })).rejects.toMatchObject({
    code: 'TIDEMARK_DATA_IN_USE',
    pid: owner.process.pid,
  })
  expect(await ask(url, 'select 1 as n')).toEqual([{ n: 1 }])
})

test('of two processes that start at the same moment on a new folder, one wins and the other names it', async () => {
  const dataDir = folder()
  const both = [run({ dataDir }), run({ dataDir })]
  const said = await Promise.all(both.map((owner) => owner.said))
  const winner = said.findIndex((answer) => 'url' in answer)
  expect(said[winner]).toHaveProperty('url')
  expect(said[1 - winner]).toMatchObject({ code: 'TIDEMARK_DATA_IN_USE', owner: both[winner]!.process.pid })
})

test('a process that forgets to stop its server ends all the same, and the server with it', async () => {
  const dataDir = folder()
  const owner = run({ dataDir }, { thenEnd: true })
  const { pid, url } = await running(owner)
  await owner.ended
  await until(() => !isAlive(pid))
  await until(() => !fs.existsSync(decodeURIComponent(url.split('host=')[1]!)))
})

const isRoot = process.geteuid!() === 0
const nobody = 65534

describe('as a user other than root', () => {
  let bare: OwnerProgram
  const uid = isRoot ? nobody : undefined

  beforeAll(async () => {
    bare = await ownerProgram('bare')
  })
  afterAll(() => bare.remove())

  test('the server runs as that user, from a copy of the binaries where theirs cannot be completed', async () => {
    const [dataDir, cache] = [ownFolder(uid), ownFolder(uid)]
    const owner = run({ dataDir }, { program: bare, uid, env: { XDG_CACHE_HOME: cache } })
    const { pid, url } = await running(owner)
    expect(fs.statSync(`/proc/${pid}`).uid).toBe(uid ?? process.geteuid!())
    expect(fs.readlinkSync(`/proc/${pid}/exe`)).toContain(cache)
    expect(fs.readdirSync(join(cache, 'tidemark'))).toHaveLength(1)
    expect(await ask(url, 'select 1 as n')).toEqual([{ n: 1 }])
  })

  test('a folder that may not be written is refused', async () => {
    const dataDir = ownFolder(uid)
    fs.chmodSync(dataDir, 0o500)
    const said = await run({ dataDir }, { uid, program: bare }).said
    fs.chmodSync(dataDir, 0o700)
    expect(said).toMatchObject({ code: 'TIDEMARK_DATA_FOLDER', message: expect.stringContaining(dataDir) })
  })
})

// Another account can be used, or its data made, by root only.
if (isRoot) {
  describe('as root', () => {
    test('the server runs as nobody', async () => {
      const server = await start({ dataDir: folder() })
      expect(fs.statSync(`/proc/${server.pid}`).uid).toBe(nobody)
    })

    test('the server runs as the owner of the data, whoever that is', async () => {
      const dataDir = ownFolder(nobody)
      await (await start({ dataDir })).stop()
      execFileSync('chown', ['-R', '12345:12345', join(dataDir, 'postgres')])
      const server = await start({ dataDir })
      expect(fs.statSync(`/proc/${server.pid}`).uid).toBe(12345)
    })

    test('the data of another user is refused to a user', async () => {
      const dataDir = folder()
      await (await start({ dataDir })).stop()
      fs.chmodSync(dataDir, 0o777)
      const said = await run({ dataDir }, { uid: 12345 }).said
      expect(said).toMatchObject({ code: 'TIDEMARK_DATA_FOLDER', message: expect.stringContaining(`uid ${nobody}`) })
    })

    test('an account that does not exist, is root, or does not own the data is refused', async () => {
      const dataDir = folder()
      await (await start({ dataDir, user: 'nobody' })).stop()
      for (const user of ['nobody-of-that-name', 'root', 'daemon'])
        await expect(startEmbedded({ dataDir, user })).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
    })

    test('data that belongs to root is refused, with what to do', async () => {
      const dataDir = folder()
      fs.mkdirSync(join(dataDir, 'postgres'))
      fs.writeFileSync(join(dataDir, 'postgres/PG_VERSION'), '18\n')
      await expect(startEmbedded({ dataDir })).rejects.toMatchObject({ code: 'TIDEMARK_DATA_FOLDER' })
      await expect(startEmbedded({ dataDir })).rejects.toThrow(/chown/)
    })
  })
}

function run(
  options: EmbeddedOptions,
  { program: which = program, ...how }: { program?: OwnerProgram } & Parameters<OwnerProgram['run']>[1] = {},
): Owner {
  const owner = which.run({ isDurable: false, ...options }, how)
  owners.push(owner)
  return owner
}

async function running(owner: Owner): Promise<{ url: string; pid: number }> {
  const said = await owner.said
  if (!('url' in said)) throw new Error(`${said.code}: ${said.message}`)
  return said
}

async function start(options: EmbeddedOptions): Promise<Embedded> {
  const server = await startEmbedded({ isDurable: false, ...options })
  servers.push(server)
  return server
}

function folder(): string {
  const made = fs.mkdtempSync(join(tmpdir(), 'tidemark-owned-'))
  folders.push(made)
  return made
}

function ownFolder(uid: number | undefined): string {
  const made = folder()
  if (uid !== undefined) fs.chownSync(made, uid, uid)
  return made
}

function isAlive(pid: number): boolean {
  try {
    // A killed process whose parent has not asked for its end stays as a zombie.
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
  } catch {
    return undefined // It ended.
  }
}

const childrenOf = (parent: number) =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent)

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
