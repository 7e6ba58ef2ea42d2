import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { LmdbFolderError } from './errors.js'
import { isWhole } from './file-head.js'

/** Of what the file holds; another one is another file, so that two versions of Tidemark can run side by side. */
const LAYOUT = 2
const DATA = 'data.mdb'
const ASIDE = 'aside'
const OPENING = 'opening'
/** Opening takes some ms; a claim that is older was left by a process that died. */
const CLAIM_MS = 5_000
/** File systems over a network, by the numbers that Linux gives them: memory is not shared through them. */
const NETWORKS: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  12805120: 'Ceph',
  1397113167: 'AFS',
}

/** Tells a file from what replaced it under the same name. */
export interface FileIdentity {
  readonly device: number
  readonly inode: number
  readonly bytes: number
}

/**
 * The folder that the processes of a machine share. It holds one environment of LMDB in a folder of its own, named by the layout and
 * the start of the machine: after a crash of the machine (not of a process) a file that was not synced may be anything.
 */
export class Folder {
  readonly path: string
  readonly environment: string
  /** The file outlives no start of the machine, so its writes need not wait for the disk. */
  readonly isOfThisStart: boolean

  /**
   * Makes the folder, for its own account only, if there is none.
   *
   * @throws LmdbFolderError (`TIDEMARK_LMDB_FOLDER`) if it can't be used
   */
  constructor(path: string) {
    this.path = path
    const start = startOfMachine()
    this.isOfThisStart = start !== undefined
    this.environment = join(path, `v${LAYOUT}-${start ?? 'synced'}`)
    tried(path, 'made', () => fs.mkdirSync(path, { recursive: true, mode: 0o700 }))
    this.#check()
  }

  /** What the data file is now; undefined if there is none. */
  identity(): FileIdentity | undefined {
    const found = fs.statSync(join(this.environment, DATA), { throwIfNoEntry: false })
    return found && { device: found.dev, inode: found.ino, bytes: found.size }
  }

  /** Whether the data file can be opened without harm. */
  isWhole(): boolean {
    return isWhole(join(this.environment, DATA))
  }

  /** Makes the folder of the environment, and removes those of earlier starts of the machine. */
  prepare(): void {
    tried(this.path, 'written to', () => fs.mkdirSync(this.environment, { recursive: true, mode: 0o700 }))
    if (!this.isOfThisStart) return
    for (const name of fs.readdirSync(this.path)) {
      const found = join(this.path, name)
      if (/^v\d+-[0-9a-f]{16}$/.test(name) && !found.endsWith(this.environment.slice(-17))) remove(found)
    }
  }

  /** Claims the folder for opening the file: two that made it at the same moment would damage it. False if another process has it. */
  claim(): boolean {
    const claim = join(this.path, OPENING)
    const found = fs.statSync(claim, { throwIfNoEntry: false })
    if (found && Math.abs(Date.now() - found.mtimeMs) > CLAIM_MS) remove(claim)
    try {
      fs.closeSync(fs.openSync(claim, 'wx', 0o600))
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  }

  /** The file is open, or could not be opened. */
  unclaim(): void {
    remove(join(this.path, OPENING))
  }

  /** Moves the environment away, in one step: who has it open goes on with it until it looks. One is kept, to be looked at. */
  setAside(): void {
    const aside = join(this.path, ASIDE)
    remove(aside)
    try {
      fs.renameSync(this.environment, aside)
    } catch (error) {
      // Another process was faster; else it would be met again and again.
      if (fs.existsSync(this.environment)) throw error
    }
  }

  /** Removes the environment. */
  discard(): void {
    this.setAside()
    remove(join(this.path, ASIDE))
  }

  #check(): void {
    const found = tried(this.path, 'looked at', () => fs.statSync(this.path))
    if (!found.isDirectory()) throw new LmdbFolderError(`${this.path} is no folder. Name one (lmdbL2({ path })).`)
    const user = process.geteuid?.()
    if (user !== undefined && found.uid !== user) {
      throw new LmdbFolderError(
        `${this.path} belongs to another account (${found.uid}; this process runs as ${user}). Processes that share an L2 run as one account: name a folder of its own.`,
      )
    }
    if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
      throw new LmdbFolderError(
        `${this.path} can be entered by other accounts, who could read and change what is cached. If it is for Tidemark alone: chmod 700 ${this.path}; else name a folder below it.`,
      )
    }
    const network = process.platform === 'linux' ? NETWORKS[fs.statfsSync(this.path).type] : undefined
    if (network !== undefined) {
      throw new LmdbFolderError(
        `${this.path} is on ${network}, through which processes can't share memory. Name a folder on a disk or in the memory of this machine.`,
      )
    }
  }
}

/** A name for the time since the machine was started; undefined where none can be told. */
function startOfMachine(): string | undefined {
  try {
    const id = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return createHash('sha256').update(id).digest('hex').slice(0, 16)
  } catch {
    return undefined
  }
}

function remove(path: string): void {
  try {
    fs.rmSync(path, { recursive: true, force: true })
  } catch {
    // Another process removes it, too; what is left is met at the next start.
  }
}

function tried<Result>(path: string, what: string, act: () => Result): Result {
  try {
    return act()
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    throw new LmdbFolderError(`${path} can't be ${what} (${code}). Name a folder that this account may write to.`, {
      cause: error,
    })
  }
}
