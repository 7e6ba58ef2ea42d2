import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { type Account, ownerAccount, serverAccount } from './account.js'
import { clusterFolder } from './address.js'
import { type Binaries, findBinaries, givenBinaries } from './binaries.js'
import { DataFolderError, DataVersionError, EmbeddedStartError } from './errors.js'
import { isOwnerAlive, ownerToken } from './liveness.js'

/** A cluster: the folder that PostgreSQL calls PGDATA, and the account that owns it. */
export interface Cluster {
  /** The user's data folder, in which `folder` lies. */
  readonly dataDir: string
  readonly folder: string
  readonly account: Account | undefined
  readonly binaries: Binaries
}

/** A path to a folder as the server's account can reach it, with the descriptor that must be handed on for it. */
export interface Reach {
  readonly path: string
  readonly fd: number | undefined
}

const otherFolder = 'Choose another folder (--data or TIDEMARK_DATA)'

/**
 * Opens the cluster in a data folder, and makes folder and cluster where they are missing.
 *
 * @throws DataFolderError, DataVersionError, EmbeddedUnsupportedError, EmbeddedStartError
 */
export async function openCluster(
  dataDir: string,
  user: string | undefined,
  isDurable: boolean,
  binDir: string | undefined,
): Promise<Cluster> {
  makeDataFolder(dataDir)
  const folder = clusterFolder(dataDir)
  const owner = clusterOwner(folder)
  const account = owner === undefined ? serverAccount(user) : ownerAccount(owner, user)
  const binaries = binDir === undefined ? findBinaries(account) : givenBinaries(binDir, account)
  const cluster = { dataDir, folder, account, binaries }
  if (owner === undefined) await createCluster(cluster, isDurable)
  else checkCluster(cluster)
  return cluster
}

/** The environment of everything that we run: never LANG, LC_* or PG* of ours, which change what PostgreSQL does. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

/**
 * A checkout below /root can't be reached by the server's account. On Linux an open descriptor leads there all the
 * same: /proc/self/fd/N resolves without a look at the folders above.
 */
export function reach(folder: string, account: Account | undefined): Reach {
  if (account === undefined || process.platform !== 'linux') return { path: folder, fd: undefined }
  return { path: '/proc/self/fd/3', fd: fs.openSync(folder, 'r') }
}

function makeDataFolder(dataDir: string): void {
  try {
    fs.mkdirSync(dataDir, { recursive: true })
    fs.accessSync(dataDir, fs.constants.W_OK | fs.constants.X_OK)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'is not a folder' : `cannot be written (${code})`
    throw new DataFolderError(`The data folder ${dataDir} ${why}. ${otherFolder}, or correct its owner and mode.`, {
      cause,
    })
  }
}

/** Who owns the cluster; `undefined` if there is none yet. */
function clusterOwner(folder: string): { uid: number; gid: number } | undefined {
  const stat = fs.statSync(folder, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  const isReadable = process.geteuid?.() === 0 || process.geteuid?.() === stat.uid
  if (!isReadable)
    throw new DataFolderError(
      `The data in ${folder} belongs to another user (uid ${stat.uid}). Start as that user or as root. ${otherFolder}, else.`,
    )
  if (stat.isDirectory() && fs.readdirSync(folder).length === 0) {
    fs.rmdirSync(folder)
    return undefined
  }
  if (stat.uid === 0)
    throw new DataFolderError(
      `${folder} belongs to root, as whom PostgreSQL does not run. Give it to another user (chown -R). ${otherFolder}, else.`,
    )
  return stat
}

function checkCluster({ dataDir, folder, binaries }: Cluster): void {
  let found: string
  try {
    found = fs.readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim()
  } catch (cause) {
    throw new DataFolderError(`${folder} holds something else than PostgreSQL's data. ${otherFolder}.`, { cause })
  }
  if (found !== binaries.major) throw new DataVersionError(dataDir, found, binaries.major)
}

/** Makes the cluster under another name and renames it, so that a start which is killed midway leaves none, not half. */
async function createCluster({ dataDir, folder, account, binaries }: Cluster, isDurable: boolean): Promise<void> {
  removeParts(dataDir)
  const part = fs.mkdtempSync(join(dataDir, `initdb-${ownerToken()}-`))
  try {
    if (account !== undefined) fs.chownSync(part, account.uid, account.gid)
    await runInitdb(part, account, binaries, isDurable)
    fs.renameSync(part, folder)
  } catch (error) {
    fs.rmSync(part, { recursive: true, force: true })
    // Another process may have made it meanwhile; which of the two starts is decided by PostgreSQL's own lock.
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Removes what starts left that were killed midway. */
function removeParts(dataDir: string): void {
  for (const name of fs.readdirSync(dataDir)) {
    const owner = /^initdb-(\d+-[^-]+)-/.exec(name)?.[1]
    if (owner === undefined || isOwnerAlive(owner)) continue
    // The killed process's initdb may still be writing there: tried again for some seconds, then left to a later start.
    fs.rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }, () => {})
  }
}

async function runInitdb(
  folder: string,
  account: Account | undefined,
  binaries: Binaries,
  isDurable: boolean,
): Promise<void> {
  const { path, fd } = reach(folder, account)
  const child = spawn(
    binaries.initdb,
    // Trust is safe because only the server's account reaches the socket's folder.
    ['-D', path, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8'].concat(
      Number(binaries.major) < 14 ? [] : ['--no-instructions'],
      // The builtin provider needs no locale of the system; servers before 17 do not have it.
      Number(binaries.major) < 17
        ? ['--locale=C']
        : ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      isDurable ? [] : ['--no-sync'],
    ),
    { ...account, env: serverEnvironment(), cwd: '/', stdio: ['ignore', 'pipe', 'pipe', fd ?? 'ignore'] },
  )
  const output: string[] = []
  child.stdout!.on('data', (chunk) => output.push(String(chunk)))
  child.stderr!.on('data', (chunk) => output.push(String(chunk)))
  const code = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (status, signal) => resolve(status ?? signal))
  }).finally(() => fd !== undefined && fs.closeSync(fd))
  if (code !== 0)
    throw new EmbeddedStartError(`initdb failed (${code}) in ${folder}.`, output.join('').trim().split('\n').slice(-10))
}
