import type { Answer } from '../../answer.js'
import { parsePosition } from '../../log/position.js'
import { type Database, matches, rowsOf } from './database.js'
import type { Shown } from './definitions.js'

/** Something that the promise forbids. The run ends. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** How far a value must show the log: fully; without what only expired; or fully and of this history's rows only. */
export type Demand = 'stale' | 'shown' | 'fresh'

/** What was known when a read was asked. */
export interface Asked {
  readonly tenant: string
  readonly key: string
  /** The process's epoch, tidemark and generation; undefined before the log was first taken up. */
  readonly epoch: string | undefined
  readonly tidemark: number
  readonly minPosition: string | undefined
  /** The epoch of the source itself. */
  readonly sourceEpoch: string
  /** For each name outside of the database, the version whose invalidation had resolved. */
  readonly promised: ReadonlyMap<string, number>
  /** The number of the next loader's run. */
  readonly nextLoad: number
  readonly isWatch: boolean
  /** The version of the program that the process runs. */
  readonly program: number
}

/** The process, as the oracle may look at it. */
export interface Process {
  readonly epoch: string | undefined
  readonly tidemark: number
}

/** Knows the whole history, and judges every answer by it. It uses nothing of what it judges. */
export class Oracle {
  readonly #database: Database
  readonly #maxSilenceMs: number

  constructor(database: Database, maxSilenceMs: number) {
    this.#database = database
    this.#maxSilenceMs = maxSilenceMs
  }

  /** Judges an answer when its reader gets it. */
  answered(asked: Asked, answer: Answer<Shown>, process: Process, trueMs: number): void {
    const { value, state, asOf } = answer
    const where = `${state} answer of ${asked.tenant} ${asked.key} (load ${value.load}, from ${answer.from}, asked at ${asked.tidemark}, as of ${asOf})`
    if (value.tenant !== asked.tenant || value.key !== asked.key)
      throw new Violation(`${where} is another's: ${value.tenant} ${value.key}`)
    this.#isOwn(value, asked.program, where)
    if (asked.minPosition !== undefined) this.#hasPosition(asked, answer, where)
    if (state === 'fenced') {
      if (asOf !== undefined) throw new Violation(`${where} carries a position`)
      return
    }
    if (state === 'stale') {
      const isJudged = asked.epoch === this.#database.epoch
      const why = isJudged ? this.contradiction(value, asked.tidemark, 'stale') : undefined
      if (why) throw new Violation(`grace: ${where} ${why}`)
      return
    }
    this.#isFresh(asked, answer, process, where)
    this.current(process, trueMs, where)
  }

  /** A peek found this. */
  peeked(asked: Asked, value: Shown, process: Process, trueMs: number): void {
    const where = `peek of ${asked.tenant} ${asked.key} (load ${value.load}) at ${asked.tidemark}`
    if (value.tenant !== asked.tenant || value.key !== asked.key) throw new Violation(`${where} is another's`)
    if (asked.epoch === this.#database.epoch) this.#demand(value, asked.tidemark, 'fresh', `promise 1: ${where}`)
    this.#isInherited(value, where)
    this.#isPromised(asked, value, where)
    this.current(process, trueMs, where)
  }

  /** An entry that L1 holds, at any moment. `isFresh`: not expired. */
  kept(value: Shown, isFresh: boolean, process: Process): void {
    const where = `entry of ${value.tenant} ${value.key} (load ${value.load}) at tidemark ${process.tidemark}`
    this.#isInherited(value, where)
    if (process.epoch === this.#database.epoch)
      this.#demand(value, process.tidemark, isFresh ? 'fresh' : 'stale', `kept: ${where}`)
  }

  /** The value is what the source shows now that all is visible. */
  isTruth(value: Shown, where: string): void {
    this.#demand(value, this.#database.end, 'fresh', `liveness: ${where}`)
  }

  /** Promise 2: all that was flushed more than maxSilence ago is applied. */
  current(process: Process, trueMs: number, where: string): void {
    const isOther = process.epoch !== this.#database.epoch
    const missed = isOther ? this.#database.restoredMs : this.#database.after(process.tidemark)?.flushedMs
    if (missed !== undefined && trueMs - missed > this.#maxSilenceMs)
      throw new Violation(
        `promise 2: ${where} at ${trueMs}, but at ${missed} the source wrote what this process never applied`,
      )
  }

  #isFresh(asked: Asked, { value, asOf, shows }: Answer<Shown>, process: Process, where: string): void {
    if (asOf === undefined) throw new Violation(`asOf: ${where} carries no position`)
    const { epoch, lsn } = parsePosition(asOf)
    if (epoch === asked.epoch && lsn < asked.tidemark && !asked.isWatch)
      throw new Violation(`asOf: ${where} is before its asking`)
    if (epoch === process.epoch && lsn > process.tidemark)
      throw new Violation(`asOf: ${where} is after the tidemark ${process.tidemark}`)
    // A watch may say of a value that still holds when it was computed.
    const asOfThen = asked.isWatch && epoch === asked.epoch ? Math.max(lsn, asked.tidemark) : lsn
    if (epoch === this.#database.epoch) this.#demand(value, asOfThen, 'fresh', `promise 1: ${where}`)
    if (shows !== undefined) this.#isShown(value, shows, where)
    this.#isInherited(value, where)
    this.#isPromised(asked, value, where)
  }

  /** A session that carries this sees nothing older than what it saw now: no row of the value is later. */
  #isShown(value: Shown, shows: string, where: string): void {
    const { epoch, lsn } = parsePosition(shows)
    if (epoch !== this.#database.epoch) return
    for (const { condition, seen } of value.reads) {
      for (const row of rowsOf(condition.table)) {
        const at = this.#database.writtenAt(row, seen[row]!)
        if (at !== undefined && at > lsn)
          throw new Violation(`session: ${where} shows row ${row} of ${at}, after ${shows}`)
      }
    }
    for (const inner of value.inner) if (inner.value) this.#isShown(inner.value, shows, where)
  }

  /** Promise 3. */
  #hasPosition(asked: Asked, { value, state }: Answer<Shown>, where: string): void {
    const { epoch = asked.sourceEpoch, lsn } = parsePosition(asked.minPosition!)
    if (state === 'stale') throw new Violation(`promise 3: ${where} for ${asked.minPosition}`)
    if (epoch === this.#database.epoch) this.#demand(value, lsn, 'shown', `promise 3: ${where}, ${asked.minPosition}`)
    else if (asked.sourceEpoch !== epoch && state === 'fenced' && value.load < asked.nextLoad)
      throw new Violation(`promise 3: ${where} carries another epoch's position, but was loaded before its asking`)
  }

  /** What was computed from something that is not fresh is not fresh. */
  #isInherited(value: Shown, where: string): void {
    for (const inner of value.inner) {
      if (inner.state !== 'fresh') throw new Violation(`nested: ${where} was computed from a ${inner.state} answer`)
      this.#isInherited(inner.value!, where)
    }
  }

  /** What another version of the program computes may be something else. */
  #isOwn(value: Shown, program: number, where: string): void {
    if (value.program !== undefined && value.program !== program)
      throw new Violation(`version: ${where} shows what version ${value.program} computed to version ${program}`)
    for (const inner of value.inner) if (inner.value) this.#isOwn(inner.value, program, where)
  }

  #isPromised(asked: Asked, value: Shown, where: string): void {
    for (const [name, seen] of Object.entries(value.externals)) {
      const promised = asked.promised.get(name) ?? 0
      if (seen < promised)
        throw new Violation(`invalidate: ${where} shows ${name} at ${seen}, though ${promised} was applied before`)
    }
    for (const inner of value.inner) if (inner.value) this.#isPromised(asked, inner.value, where)
  }

  #demand(value: Shown, lsn: number, demand: Demand, where: string): void {
    const why = this.contradiction(value, lsn, demand)
    if (why) throw new Violation(`${where} ${why}`)
  }

  /** What in the log up to `lsn` contradicts the value; undefined if nothing does. What is newer contradicts nothing. */
  contradiction(value: Shown, lsn: number, demand: Demand): string | undefined {
    for (const { condition, seen } of value.reads) {
      for (const row of rowsOf(condition.table)) {
        const then = this.#database.versionAt(row, lsn)
        if (then.serial === seen[row]) continue
        const shown = this.#database.version(row, seen[row]!)
        if (!shown) {
          if (demand === 'fresh') return `shows row ${row} of a history that is gone`
          continue
        }
        if (shown.serial > then.serial) continue
        const [was, is] = [matches(condition, shown.state), matches(condition, then.state)]
        if (condition.isListing ? was !== is : was || is)
          return `shows row ${row} as commit ${shown.serial} made it, not as ${then.serial} at or before ${lsn} did`
      }
    }
    for (const { lsn: at, externals } of this.#database.invalidations) {
      if (at > lsn) break
      for (const { name, version, mode } of externals) {
        if (demand === 'stale' && mode === 'expire') continue
        const shown = value.externals[name]
        if (shown !== undefined && shown < version) return `shows ${name} at ${shown}, not ${version}`
      }
    }
    for (const inner of value.inner) {
      const why = inner.value && this.contradiction(inner.value, lsn, demand)
      if (why) return `has ${inner.value!.key}, which ${why}`
    }
    return undefined
  }
}
