import { type Database, open, type RootDatabase, type RootDatabaseOptions } from 'lmdb'
import { LmdbDownError } from './errors.js'
import type { FileIdentity, Folder } from './folder.js'
import { textKey } from './keys.js'
import { decodeTide, encodeTide, type Tide } from './tide-record.js'

type Store = Database<Buffer, Buffer>

/** The record of the tide with the version that a write is conditional on. */
export interface TideVersion {
  readonly tide: Tide
  readonly version: number
}

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const
const TIDE = textKey('tide')
const READERS_MAX = 1_024

/**
 * An open file. Reads are of the moment of the last `refresh`. Writes are made of what was read, on the condition that the record that
 * decides is still the same, and are done by a thread: the lock that all processes share is never held while JavaScript runs, so a
 * process that is busy, or stopped in a debugger, keeps none of the others waiting.
 */
export class Environment {
  readonly identity: FileIdentity
  /** Key → entry; the version of a record is when it was stored. */
  readonly entries: Store
  /** Parts of entries that are larger than a page. */
  readonly parts: Store
  /** Place of an entry → its size and key: what was stored first comes first. */
  readonly order: Store
  /** Shape → its text. */
  readonly shapes: Store
  /** Shape → since. */
  readonly sinces: Store
  /** Shape and name → the last position that touched it, and its place in the order. */
  readonly stamps: Store
  /** Position and place → stamp: oldest first. */
  readonly stampOrder: Store
  /** Key → who loads it, and until when; the version of a record is when it was written. */
  readonly leases: Store
  readonly #root: RootDatabase<Buffer, Buffer>
  readonly #tides: Store
  #writing = 0
  #isLeft = false
  #drained = (): void => {}

  /** @throws whatever LMDB does */
  constructor(folder: Folder, mapBytes: number) {
    this.#root = open<Buffer, Buffer>(folder.environment, {
      ...BINARY,
      noSubdir: false,
      maxDbs: 12,
      maxReaders: READERS_MAX,
      mapSize: mapBytes,
      noSync: folder.isOfThisStart,
      overlappingSync: false,
      // Each transaction is complete when it is given to the thread.
      eventTurnBatching: false,
      permissionsMode: 0o600,
    } as RootDatabaseOptions & { permissionsMode: number })
    this.#tides = this.#root.openDB('tide', { ...BINARY, useVersions: true })
    this.entries = this.#root.openDB('entries', { ...BINARY, useVersions: true })
    this.parts = this.#root.openDB('parts', BINARY)
    this.order = this.#root.openDB('order', BINARY)
    this.shapes = this.#root.openDB('shapes', BINARY)
    this.sinces = this.#root.openDB('sinces', BINARY)
    this.stamps = this.#root.openDB('stamps', BINARY)
    this.stampOrder = this.#root.openDB('stamp-order', BINARY)
    this.leases = this.#root.openDB('leases', { ...BINARY, useVersions: true })
    const identity = folder.identity()
    if (identity === undefined) throw new Error('the file is gone')
    this.identity = identity
  }

  /**
   * What is read from here on, in this turn, is as of now. Each turn that reads begins with it.
   *
   * @throws LmdbDownError if this process has left the file: LMDB does not survive a read of a file that it has closed
   */
  refresh(): void {
    if (this.#isLeft) throw new LmdbDownError('This process has left the file of L2 for another one.')
    this.#root.resetReadTxn()
  }

  /** @throws if the record is there and can't be read */
  tide(): TideVersion | undefined {
    const found = this.#tides.getEntry(TIDE)
    if (!found) return undefined
    const tide = decodeTide(found.value)
    if (!tide) throw new CorruptError('the record of its position')
    return { tide, version: found.version! }
  }

  /** Writes all of it and the new tide, unless the tide is another one than the one that was read. */
  advance(from: TideVersion | undefined, to: Tide, write: () => void): Promise<boolean> {
    const record = encodeTide(to)
    const version = (from?.version ?? 0) + 1
    return this.writeIf(this.#tides, TIDE, from?.version, () => {
      write()
      void this.#tides.put(TIDE, record, version)
    })
  }

  /** Writes all of it, unless the record is of another version than the one that was read (undefined: there was none). */
  writeIf(store: Store, key: Buffer, version: number | undefined, write: () => void): Promise<boolean> {
    return this.#written(() =>
      version === undefined ? store.ifNoExists(key, write) : store.ifVersion(key, version, write),
    )
  }

  /** Removes an entry that is of that version. */
  removeEntry(key: Buffer, version: number): void {
    this.entries.remove(key, version).catch((error: unknown) => void reasonOf(error))
  }

  /** Writes all of it. */
  async write(write: () => void): Promise<void> {
    await this.#written(() => this.#root.batch(write))
  }

  /** All but the tide and the leases. */
  clear(): void {
    for (const store of this.#stores) void store.clearAsync()
  }

  /** Frees the pages that processes were reading when they died. */
  reap(): void {
    this.#root.readerCheck()
  }

  /** What is used of the file, and how long it is. */
  size(): { readonly usedBytes: number; readonly fileBytes: number } {
    const root = statsOf(this.#root)
    const pages = [...this.#stores, this.#tides, this.leases].reduce((sum, store) => sum + pagesOf(statsOf(store)), 0)
    const used = pages + pagesOf(root) + pagesOf(root.free)
    return { usedBytes: used * root.pageSize, fileBytes: (root.lastPageNumber + 1) * root.pageSize }
  }

  /** Nothing is read or written any more. The file is closed as soon as what is being written has been. */
  async leave(): Promise<void> {
    if (this.#isLeft) return
    this.#isLeft = true
    if (this.#writing > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
    }
    await this.#root.close()
  }

  async #written(write: () => Promise<boolean>): Promise<boolean> {
    this.#writing++
    try {
      return await write()
    } catch (error) {
      // The reason comes on a promise of its own, which nobody else waits for.
      throw await reasonOf(error)
    } finally {
      this.#writing--
      if (this.#writing === 0) this.#drained()
    }
  }

  get #stores(): Store[] {
    return [this.entries, this.parts, this.order, this.shapes, this.sinces, this.stamps, this.stampOrder]
  }
}

/** What is in the file can't be what was written. */
class CorruptError extends Error {}

/** LMDB's own words for that. */
const CORRUPT = new Set([-30797, -30796, -30795, -30794, -30793])

export function isCorrupt(error: unknown): boolean {
  return error instanceof CorruptError || CORRUPT.has(Number((error as { code?: unknown } | undefined)?.code))
}

/** MDB_BAD_TXN: once another process was killed in the middle of a write, every write of this one may fail so, though the file is whole. */
const BAD_TXN = -30782

export function isStuck(error: unknown): boolean {
  return Number((error as { code?: unknown } | undefined)?.code) === BAD_TXN
}

export function countOf(store: Store): number {
  return statsOf(store).entryCount
}

/** What a store takes of the file. */
export function bytesOf(store: Store): number {
  const stats = statsOf(store)
  return pagesOf(stats) * stats.pageSize
}

interface Pages {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

interface Stats extends Pages {
  readonly pageSize: number
  readonly entryCount: number
  readonly lastPageNumber: number
  readonly free: Pages
}

function statsOf(store: Store): Stats {
  return store.getStats() as Stats
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Pages): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

async function reasonOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<never> } | undefined)?.commitError
  return reason === undefined ? error : reason.catch((cause: unknown) => cause)
}
