import type { RedisL2 } from '@tidemark/redis'
import type { L2Batch, L2Mark, L2Read } from 'tidemark'
import { EPOCH } from './opened.js'

/** Numbers from a seed, so that a run can be told by it. */
export function numbers(seed: number): (below: number) => number {
  let state = (seed * 2654435761) % 4294967296 || 1
  return (below) => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}

interface Row {
  readonly table: string
  readonly id: string
}

const TABLES = 3

export interface WorldOptions {
  readonly keys?: number
  readonly valueBytes?: number
  /** One mark in so many is of its whole table. */
  readonly wholeOneIn?: number
}

/**
 * A log, a source, and processes that fill and read L2 as the cache does: rows with versions, entries of a few rows each, batches told
 * late, twice, or again from an earlier place. It knows the truth, and judges each entry that L2 returns.
 */
export class World {
  readonly #l2: RedisL2
  readonly #number: (below: number) => number
  readonly #rows: readonly Row[]
  readonly #keys: number
  readonly #valueBytes: number
  readonly #wholeOneIn: number
  /** All changes: the change at index i has the position i + 1. */
  readonly #log: number[] = []
  readonly #fillsToCome: { key: number; lsn: number; versions: number[] }[] = []
  #prev = 0
  #shapes: string | undefined
  readonly seen = { hits: 0, believed: 0, disbelieved: 0, stored: 0, failed: 0, resets: 0, shapesAsked: 0 }
  /** What was believed and was not so: there must be none. */
  readonly stale: string[] = []

  constructor(l2: RedisL2, seed: number, options: WorldOptions = {}) {
    this.#l2 = l2
    this.#number = numbers(seed)
    this.#keys = options.keys ?? 12
    this.#valueBytes = options.valueBytes ?? 10
    this.#wholeOneIn = options.wholeOneIn ?? 10
    this.#rows = Array.from({ length: this.#keys + 2 }, (_, i) => ({ table: `t${i % TABLES}`, id: `${i}` }))
    // The log has begun long ago.
    this.#log.push(0)
  }

  get tidemark(): number {
    return this.#log.length
  }

  /** Several things that happen at once, in this process and others. */
  async step(): Promise<void> {
    const doing: Promise<void>[] = []
    for (let i = 0; i < 8; i++) doing.push(this.#one())
    await Promise.all(doing)
  }

  /** L2 hears of everything; whatever it lost meanwhile, it is in order again. */
  async settle(): Promise<void> {
    for (let tries = 0; tries < 20 && !(await this.#tell(true)); tries++);
  }

  /** Reads all keys, and judges them. */
  async readAll(): Promise<void> {
    for (let from = 0; from < this.#keys; from += 100)
      await Promise.all(Array.from({ length: Math.min(100, this.#keys - from) }, (_, i) => this.#read(from + i)))
  }

  async fillAll(): Promise<void> {
    for (let from = 0; from < this.#keys; from += 32) {
      const keys = Array.from({ length: Math.min(32, this.#keys - from) }, (_, i) => from + i)
      await Promise.all(keys.map((key) => this.#fill(key, this.tidemark, this.#versions(key))))
    }
  }

  async #one(): Promise<void> {
    const key = this.#number(this.#keys)
    switch (this.#number(8)) {
      case 0:
        this.#log.push(this.#number(this.#rows.length))
        return
      case 1:
        await this.#tell(this.#number(4) === 0)
        return
      case 2:
        // Another leader goes on from an earlier place.
        this.#prev = Math.max(0, this.#prev - this.#number(4))
        return
      case 3:
        // Loaded now; on its way for a while.
        this.#fillsToCome.push({ key, lsn: this.tidemark, versions: this.#versions(key) })
        return
      case 4: {
        const [late] = this.#fillsToCome.splice(this.#number(this.#fillsToCome.length || 1), 1)
        if (late) await this.#fill(late.key, late.lsn, late.versions)
        return
      }
      case 5:
        await this.#fill(key, this.tidemark, this.#versions(key))
        return
      default:
        await this.#read(key)
    }
  }

  /** Changes rows, and tells of it. */
  async change(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.#log.push(this.#number(this.#rows.length))
    await this.settle()
  }

  #rowsOf(key: number): number[] {
    return [key, key + 1, key + 2]
  }

  /** The version of each row is the position of its last change. */
  #versions(key: number, lsn = this.tidemark): number[] {
    return this.#rowsOf(key).map((row) => this.#log.lastIndexOf(row, lsn - 1) + 1)
  }

  async #fill(key: number, lsn: number, versions: number[]): Promise<void> {
    const stamps = this.#rowsOf(key).map((row) => ({ shape: this.#rows[row]!.table, name: this.#rows[row]!.id }))
    try {
      const value = { versions, padding: 'x'.repeat(this.#valueBytes) }
      const fill = { epoch: EPOCH, lsn, value, dependencies: [], stamps, ageMs: 0, remainingMs: 3_600_000 }
      if ((await this.#l2.fill(`k${key}`, fill)) === 'stored') this.seen.stored++
    } catch {
      this.seen.failed++
    }
  }

  async #read(key: number): Promise<void> {
    const asked = this.tidemark
    let found: L2Read
    try {
      found = await this.#l2.read(`k${key}`)
    } catch {
      this.seen.failed++
      return
    }
    const { entry, tide } = found
    if (!entry || !tide) return
    this.seen.hits++
    const from = Math.max(tide.m, entry.lsn)
    const isTouched = this.#log.slice(from).some((row) => this.#rowsOf(key).includes(row))
    if (isTouched) {
      this.seen.disbelieved++
      return
    }
    this.seen.believed++
    const { versions } = entry.value as { versions: number[] }
    const truth = this.#versions(key, asked)
    if (versions.some((version, i) => version < truth[i]!))
      this.stale.push(`k${key}: ${versions} where ${truth} was so at ${asked} (m ${tide.m}, entry ${entry.lsn})`)
  }

  /** @returns whether L2 is told all */
  async #tell(mayReset: boolean): Promise<boolean> {
    const [prev, end] = [this.#prev, this.tidemark]
    const marks: L2Mark[] = []
    for (let lsn = prev + 1; lsn <= end; lsn++) {
      const { table, id } = this.#rows[this.#log[lsn - 1]!]!
      // Made for the shapes that are known here, as the cache does: another row of a shape that it does not know is not marked.
      if (this.#known.has(table))
        marks.push({ lsn, shape: table, name: this.#number(this.#wholeOneIn) === 0 ? undefined : id })
    }
    const batch: L2Batch = { epoch: EPOCH, prev, end, shapes: this.#shapes, marks, mayReset }
    try {
      const answer = await this.#l2.invalidate(batch)
      if (answer.state === 'shapes') {
        this.seen.shapesAsked++
        this.#shapes = answer.shapesId
        this.#known = new Set(answer.shapes)
        return false
      }
      if (answer.state === 'behind') return false
      // Its answer may be lost, and then the same is told again.
      if (this.#prev === prev && this.#number(6) > 0) this.#prev = end
      return true
    } catch {
      this.seen.failed++
      return false
    }
  }

  #known: ReadonlySet<string> = new Set()
}
