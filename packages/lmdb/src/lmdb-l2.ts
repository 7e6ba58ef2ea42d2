import { randomBytes } from 'node:crypto'
import type { L2, L2Answer, L2Ask, L2Batch, L2Fill, L2Place, L2Read } from 'tidemark'
import { Attachment } from './attachment.js'
import { invalidate } from './batches.js'
import { Calls } from './calls.js'
import { decodeEntry, entryAt, type Moment } from './entry-record.js'
import { findEntry, removeEntries, type StoredEntry } from './entry-store.js'
import { countOf, type Environment } from './environment.js'
import { LmdbDownError } from './errors.js'
import { Eviction } from './eviction.js'
import { fill } from './fills.js'
import { Folder } from './folder.js'
import { textKey } from './keys.js'
import { lease, release } from './leases.js'
import { type LmdbL2Options, type Settings, settingsOf } from './options.js'
import { ShapeNumbers } from './shape-numbers.js'
import { isExpired, isValid, laterPatterns } from './validity.js'

/** What stamps may take of the file. */
const STAMP_SHARE = 1 / 4
const LEASE_WAIT_MS = 50
/** An entry of more than this share of the file would push out too many others. */
const ENTRY_SHARE = 1 / 128

export interface LmdbStatus {
  /** `paused`: a write failed or hangs, or the file could not be opened; it is tried again. `idle`: nothing was asked yet. */
  readonly state: 'idle' | 'open' | 'paused' | 'closed'
  /** The length of the file, and what of it is in use. */
  readonly fileBytes: number
  readonly usedBytes: number
  readonly entries: number
  readonly stamps: number
  /** By this process since it started: entries that left to make room, that could not be read, and files that were left. */
  readonly evicted: number
  readonly unreadable: number
  readonly startedAnew: number
}

/** An L2 in a file that the processes of one machine share. */
export interface LmdbL2 extends L2 {
  /** Costs some 100 µs. Never throws. */
  status(): LmdbStatus
}

/**
 * An L2 in a file (LMDB) that the processes of one machine share, without a server and without a leader:
 * `createCache({ source, l2: lmdbL2({ path: '/var/cache/app' }) })`. Each process gives the same folder.
 *
 * Reads are synchronous, out of shared memory; writes are done by a thread. The file is opened by the first call. It is made anew when the
 * machine was restarted, when it is damaged, and when it can't be kept below its limit.
 *
 * @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be
 * @throws LmdbFolderError (`TIDEMARK_LMDB_FOLDER`) if the folder can't be used: rights, another account's, on a network
 */
export function lmdbL2(options: LmdbL2Options): LmdbL2 {
  return new EmbeddedL2(settingsOf(options))
}

class EmbeddedL2 implements LmdbL2 {
  readonly #settings: Settings
  readonly #calls: Calls
  readonly #attachment: Attachment
  readonly #eviction: Eviction
  readonly #numbers = new ShapeNumbers()
  readonly #process = randomBytes(4).readUInt32BE()
  #isClosed = false
  #lastMicros = 0
  #evicted = 0
  #unreadable = 0

  constructor(settings: Settings) {
    this.#settings = settings
    this.#calls = new Calls(settings.deadlineMs)
    this.#attachment = new Attachment(new Folder(settings.path), this.#calls)
    this.#eviction = new Eviction({
      maxBytes: settings.maxBytes,
      evicted: (entries) => {
        this.#evicted += entries
      },
    })
  }

  async read(key: string, ask?: L2Ask): Promise<L2Read> {
    const found = this.#with((environment) => this.#read(environment, textKey(key)))
    // A lease is given by a write, which a hit need not wait for.
    return found.entry || !ask ? found : { ...found, isLeased: await this.lease(key, ask.holder, ask.ms) }
  }

  async fill(key: string, entry: L2Fill): Promise<'stored' | 'refused'> {
    return this.#write(async (environment) => {
      const filled = await fill(
        {
          environment,
          numbers: this.#numbers,
          shapesMax: this.#settings.shapesMax,
          entryBytesMax: this.#settings.maxBytes * ENTRY_SHARE,
          room: (bytes) => (this.#eviction.isDue(bytes) ? this.#makeRoom(environment) : undefined),
          now: () => this.#now(),
          process: this.#process,
        },
        key,
        entry,
      )
      if (filled === 'stored' && entry.holder !== undefined) await release(environment, key, entry.holder)
      return filled
    })
  }

  async invalidate(batch: L2Batch): Promise<L2Answer> {
    // Told about every second even where nothing happens, so here it is noticed what became of the file.
    this.#attachment.look()
    const { stampsMax, maxBytes } = this.#settings
    const stampBytesMax = maxBytes * STAMP_SHARE
    return this.#write((environment) =>
      invalidate({ environment, numbers: this.#numbers, stampsMax, stampBytesMax }, batch),
    )
  }

  async lease(key: string, holder: string, ms: number): Promise<boolean> {
    const asked = this.#write((environment) => lease(environment, key, holder, ms, () => this.#now().upMicros))
    // A reader waits for it: who does not know soon loads.
    const soon = sleep(LEASE_WAIT_MS).then(() => true)
    return Promise.race([asked, soon])
  }

  release(key: string, holder: string): Promise<void> {
    return this.#write((environment) => release(environment, key, holder))
  }

  async remove(keys: readonly string[], { epoch, lsn }: L2Place): Promise<number | undefined> {
    return this.#write(async (environment) => {
      environment.refresh()
      const tide = environment.tide()?.tide
      if (tide?.epoch !== epoch) return undefined
      const old = keys.map(textKey).flatMap((key) => {
        const found = findEntry(environment, key)
        const head = found?.record && decodeEntry(key, found.record)
        return found && head && head.generation === tide.generation && head.lsn < lsn
          ? [{ place: found.place, key, bytes: found.bytes }]
          : []
      })
      if (old.length > 0) await removeEntries(environment, old)
      return old.length
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // What hangs is not waited for.
    await Promise.race([this.#attachment.close(), sleep(this.#settings.deadlineMs)])
  }

  status(): LmdbStatus {
    const counts = { evicted: this.#evicted, unreadable: this.#unreadable, startedAnew: this.#attachment.startedAnew }
    const environment = this.#attachment.open
    const state = this.#isClosed ? 'closed' : this.#calls.isPaused ? 'paused' : environment ? 'open' : 'idle'
    try {
      if (environment) {
        environment.refresh()
        const held = { entries: countOf(environment.entries), stamps: countOf(environment.stamps) }
        return { state, ...environment.size(), ...held, ...counts }
      }
    } catch (error) {
      this.#attachment.failed(environment, error)
    }
    return { state, fileBytes: 0, usedBytes: 0, entries: 0, stamps: 0, ...counts }
  }

  #read(environment: Environment, key: Buffer): L2Read {
    environment.refresh()
    const tide = environment.tide()?.tide
    if (!tide) return { tide: undefined, entry: undefined }
    const { epoch, m } = tide
    const none = { tide: { epoch, m }, entry: undefined }
    const found = findEntry(environment, key)
    if (!found) return none
    const head = found.record && decodeEntry(key, found.record)
    if (!head) return this.#unread(environment, key, found, none)
    if (head.generation !== tide.generation || !isValid(environment, tide, head.lsn, head.stamps)) return none
    try {
      const patterns = laterPatterns(environment, tide, head.lsn, head.stamps)
      const entry = entryAt(head, this.#moment())
      if (!entry) return none
      return {
        tide: { epoch, m },
        entry,
        ...(isExpired(environment, tide, head.lsn, head.stamps) && { isExpired: true }),
        ...(patterns.length > 0 && { patterns }),
      }
    } catch {
      return this.#unread(environment, key, found, none)
    }
  }

  /** What can't be read is a miss, and goes. */
  #unread(environment: Environment, key: Buffer, { place, bytes }: StoredEntry, none: L2Read): L2Read {
    this.#unreadable++
    this.#calls.run(() => removeEntries(environment, [{ place, key, bytes }])).catch(() => {})
    return none
  }

  #with<Result>(act: (environment: Environment) => Result): Result {
    const environment = this.#attachment.get()
    try {
      return act(environment)
    } catch (error) {
      this.#attachment.failed(environment, error)
      throw downError(error)
    }
  }

  async #write<Result>(act: (environment: Environment) => Promise<Result>): Promise<Result> {
    let environment: Environment | undefined
    try {
      return await this.#calls.run(async () => {
        environment = this.#attachment.get()
        return act(environment)
      })
    } catch (error) {
      this.#attachment.failed(environment, error)
      if (!(error instanceof LmdbDownError)) this.#calls.pause()
      throw downError(error)
    }
  }

  async #makeRoom(environment: Environment): Promise<void> {
    await this.#eviction.run(environment)
    if (this.#eviction.isBeyond(environment)) this.#attachment.startAnew('l2-too-long', environment)
  }

  #now(): Moment {
    const moment = this.#moment()
    this.#lastMicros = Math.max(moment.upMicros, this.#lastMicros + 1)
    return { ...moment, upMicros: this.#lastMicros }
  }

  #moment(): Moment {
    const [seconds, nanos] = process.hrtime()
    return { upMicros: seconds * 1_000_000 + Math.floor(nanos / 1_000), wallMs: Date.now() }
  }
}

function downError(error: unknown): LmdbDownError {
  if (error instanceof LmdbDownError) return error
  const reason = (error as { code?: unknown } | undefined)?.code === 28 ? 'its disk is full' : "see the error's cause"
  return new LmdbDownError(`The file of L2 can't be read or written: ${reason}.`, { cause: error })
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
