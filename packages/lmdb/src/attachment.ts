import type { Calls } from './calls.js'
import { Environment, isCorrupt, isStuck } from './environment.js'
import { LmdbDownError } from './errors.js'
import type { FileIdentity, Folder } from './folder.js'
import { isDeadly, Trial } from './trial.js'

/** A call that hangs for so long waits for a process that is frozen, or for a thread that is gone. */
const STUCK_MS = 10_000
const LOOK_MS = 250
/**
 * Reserved of the address space, not of memory or disk: the same for all processes, whatever their limits, as a change would have to
 * reach all of them.
 */
const MAP_BYTES = 2 ** 36

export type Notice = 'l2-damaged' | 'l2-locked' | 'l2-too-long'

const NOTICES: Readonly<Record<Notice, string>> = {
  'l2-damaged': 'was damaged and has been moved to "aside" beside it',
  'l2-locked': 'was locked for 10 s by a process that does not run, and has been left to it',
  'l2-too-long':
    'was longer than its limit, as a process that does not run keeps its old pages in use, and has been removed',
}

/** The file as this process has it: opened when it is first needed, and anew whenever it is another one or can't be used. */
export class Attachment {
  readonly #folder: Folder
  readonly #calls: Calls
  #environment: Environment | undefined
  #trial: Trial | undefined
  #isClosed = false
  #lookedAt = 0
  #bytes = 0
  /** So often it began with nothing, since this process started. */
  startedAnew = 0

  constructor(folder: Folder, calls: Calls) {
    this.#folder = folder
    this.#calls = calls
  }

  /** The open file, if there is one. */
  get open(): Environment | undefined {
    return this.#environment
  }

  /** @throws LmdbDownError if it can't be opened, or was closed */
  get(): Environment {
    if (this.#environment) return this.#environment
    if (this.#isClosed) throw new LmdbDownError('This L2 was closed.')
    if (this.#calls.isPaused) throw new LmdbDownError('The file of L2 could not be opened a moment ago.')
    try {
      if (!this.#folder.claim()) throw new LmdbDownError('Another process is just opening the file of L2.')
      try {
        this.#environment = this.#opened()
      } finally {
        this.#folder.unclaim()
      }
    } catch (error) {
      if (error instanceof LmdbDownError) throw error
      this.#calls.pause()
      throw new LmdbDownError(`The file of L2 in ${this.#folder.path} can't be opened. See the error's cause.`, {
        cause: error,
      })
    }
    return this.#environment
  }

  /** Compares what is open with what is there: it may have been moved, replaced or cut short, or be locked for good. */
  look(): void {
    const environment = this.#environment
    if (!environment || performance.now() - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = performance.now()
    const now = this.#folder.identity()
    if (!now || !isSame(now, environment.identity)) return this.#leave(environment)
    // LMDB never does that.
    if (now.bytes < this.#bytes) return this.startAnew('l2-damaged', environment)
    this.#bytes = now.bytes
    environment.reap()
    if (this.#calls.hangsMs > STUCK_MS) this.startAnew('l2-locked', environment)
  }

  /** Leaves the file to whoever has it open, if it is the one that is there, and says so. The next call finds an empty one. */
  startAnew(why: Notice, environment: Environment): void {
    if (this.#environment !== environment) return
    this.#leave(environment)
    const now = this.#folder.identity()
    if (now && isSame(now, environment.identity)) this.#remove(why)
  }

  /** What a call threw: a file that is damaged is left, one in which nothing can be written from here is opened again. */
  failed(environment: Environment | undefined, error: unknown): void {
    if (environment && isCorrupt(error)) this.startAnew('l2-damaged', environment)
    else if (environment && environment === this.#environment && isStuck(error)) this.#leave(environment)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const environment = this.#environment
    this.#environment = undefined
    this.#trial?.end()
    await environment?.leave()
  }

  #opened(): Environment {
    this.#folder.prepare()
    if (!this.#folder.isWhole() || isDeadly(this.#folder.environment)) {
      this.#remove('l2-damaged')
      this.#folder.prepare()
    }
    this.#trial = new Trial(this.#folder.environment)
    try {
      return new Environment(this.#folder, MAP_BYTES)
    } catch (error) {
      if (!isCorrupt(error)) throw error
      this.#trial.end()
      this.#remove('l2-damaged')
      this.#folder.prepare()
      return new Environment(this.#folder, MAP_BYTES)
    }
  }

  #leave(environment: Environment): void {
    this.#environment = undefined
    this.#trial?.end()
    this.#bytes = 0
    this.#calls.forget()
    // What it still waits for may never come.
    environment.leave().catch(() => {})
  }

  #remove(why: Notice): void {
    if (why === 'l2-too-long') this.#folder.discard()
    else this.#folder.setAside()
    this.startedAnew++
    process.emitWarning(`The file of L2 in ${this.#folder.path} ${NOTICES[why]}. L2 starts empty.`, {
      type: 'TidemarkNotice',
      code: why,
    })
  }
}

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.inode === other.inode && one.device === other.device
}
