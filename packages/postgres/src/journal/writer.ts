import type { Clock } from 'tidemark'
import { pause } from '../wal/pause.js'
import type { Delivery, Recording, Stretch } from '../wal/recording.js'
import type { Transaction } from '../wal/transaction.js'
import type { Head } from './chain.js'
import { whyNotWritten } from './errors.js'
import { happeningsOf } from './happenings.js'
import type { Happening } from './record.js'
import type { Appended, Batch, Step } from './store.js'

/** So many records go into the tables at once. */
const BATCH_MAX = 1_000
/** Batches that are not full begin so far apart: each one that commits has the server flush its log, as what it records had to. */
const GATHER_MS = 20
/** Where nothing is to be recorded, how far the log was read is noted only now and then: noting it moves the log too. */
const COVER_BYTES = 2 ** 14
const COVER_LEAST_MS = 1_000
const COVER_MS = 60_000
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000
/** Effects that wait; of more it is only counted that they are missing. */
const EFFECTS_MAX = 10_000

export interface WriterOptions {
  readonly log: string
  readonly namesMax: number
  /** So many records wait in memory; what is more waits in the log. */
  readonly queueMax: number
  readonly clock: Clock
  append(batch: Batch): Promise<Appended>
  /** The chains have become longer. */
  signed(journal: string, heads: ReadonlyMap<string, Head>): Promise<void>
}

/** How the journal fares, for health. */
export interface JournalStatus {
  /** starting: nothing was written yet. waiting: it can't be written now, and what is to be recorded waits. */
  readonly state: 'starting' | 'writing' | 'waiting' | 'closed'
  /** In words: why it waits, and what to do. Empty where all is well. */
  readonly reason: string
  /** Records that wait in memory. */
  readonly waiting: number
  /** Whether more than that waits in the log. */
  readonly waitsInLog: boolean
  readonly written: number
  /** Effects that were not recorded, as too many waited. */
  readonly effectsLost: number
}

interface Queued {
  readonly step: Step
  /** undefined: it is no part of what a slot delivers. */
  readonly stretch: RecordedStretch | undefined
  /** The end of what it is of. */
  readonly lsn: number
}

/**
 * Writes what is to be recorded, in batches, behind whatever happens: nothing waits for it but the acknowledgement of the slot. So
 * what is not written when a process ends is delivered again.
 */
export class JournalWriter implements Recording {
  readonly #options: WriterOptions
  #queue: Queued[] = []
  #records = 0
  #effects = 0
  #effectsLost = 0
  #written = 0
  /** What was delivered could not be kept in memory: it has to be delivered again. */
  #overflowed: RecordedStretch | undefined
  #stretch: RecordedStretch | undefined
  #state: JournalStatus['state'] = 'starting'
  #reason = ''
  #isRetry = false
  /** Which journal it is, once that is known. */
  #journal = ''
  /** What was written, and not yet signed. */
  readonly #unsigned = new Map<string, Head>()
  /** In this epoch the journal has all up to there. */
  #known = { epoch: '', to: 0 }
  #coveredAt = Number.NEGATIVE_INFINITY
  #wake: () => void = () => {}
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #drained: (() => void)[] = []

  constructor(options: WriterOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  begin(delivery: Delivery): Stretch {
    const stretch = new RecordedStretch(delivery, {
      committed: (transaction) => this.#committed(stretch, transaction),
      passed: (lsn) => {
        if (this.#overflowed === stretch) return
        stretch.readTo = Math.max(stretch.readTo, lsn)
        this.#wake()
      },
    })
    this.#stretch = stretch
    this.#overflowed = undefined
    const { from, epoch } = delivery
    this.#push({ step: { kind: 'begin', from, epoch }, stretch, lsn: from })
    return stretch
  }

  /** What a change did here. Never waits; of too many only the number is kept. */
  effect(happening: Happening): void {
    if (this.#closing.signal.aborted) return
    if (this.#effects >= EFFECTS_MAX) {
      this.#effectsLost++
      return
    }
    this.#effects++
    this.#push({ step: { kind: 'records', happenings: [happening] }, stretch: undefined, lsn: happening.lsn })
  }

  status(): JournalStatus {
    const isClosed = this.#closing.signal.aborted
    return {
      state: isClosed ? 'closed' : this.#state,
      reason: this.#reason,
      waiting: this.#records,
      waitsInLog: this.#overflowed !== undefined,
      written: this.#written,
      effectsLost: this.#effectsLost,
    }
  }

  /** Resolves when all that was told so far is written, or false when the signal aborts. */
  async flush(signal: AbortSignal): Promise<boolean> {
    while (this.#queue.length > 0 && !signal.aborted && !this.#closing.signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done)
          resolve()
        }
        this.#drained.push(done)
        signal.addEventListener('abort', done, { once: true })
      })
    }
    return this.#queue.length === 0
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#wake()
    await this.#running
  }

  // ── what is told ───────────────────────────────────────────────────────────────────────────────────────

  #committed(stretch: RecordedStretch, transaction: Transaction): void {
    if (this.#overflowed === stretch) return
    // It comes again, and takes no room: else what waits in the log would never get its turn. One run of a server has one history.
    if (this.#known.epoch === stretch.epoch && transaction.endLsn <= this.#known.to) {
      stretch.readTo = transaction.endLsn
      return
    }
    if (this.#records >= this.#options.queueMax) {
      // Nothing of this stretch is kept from here on, so that it has no hole: it stays in the log until there is room.
      this.#overflowed = stretch
      this.#wake()
      return
    }
    const { endLsn } = transaction
    const happenings = happeningsOf(transaction, stretch.epoch, this.#options.namesMax)
    if (happenings.length > 0) this.#push({ step: { kind: 'records', happenings }, stretch, lsn: endLsn })
    stretch.readTo = endLsn
    this.#wake()
  }

  #push(queued: Queued): void {
    this.#queue.push(queued)
    if (queued.stretch) queued.stretch.waiting++
    if (queued.step.kind === 'records') this.#records += queued.step.happenings.length
    this.#wake()
  }

  // ── what is written ────────────────────────────────────────────────────────────────────────────────────

  async #run(): Promise<void> {
    let waitMs = RETRY_FIRST_MS
    const { clock } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      const queued = this.#take()
      const covers = this.#covers(queued)
      if (queued.length === 0 && covers === undefined && this.#unsigned.size === 0) {
        this.#rest()
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      try {
        await this.#write(queued, covers)
        await this.#sign()
        waitMs = RETRY_FIRST_MS
        if (this.#records < BATCH_MAX && this.#drained.length === 0) await pause(clock, GATHER_MS, signal)
      } catch (error) {
        this.#failed(error)
        await pause(clock, waitMs * (0.5 + clock.random()), signal)
        waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)
      }
    }
  }

  /** The next of the queue, as many as go into one batch. They stay in it until they are written. */
  #take(): Queued[] {
    let [count, records] = [0, 0]
    for (const { step } of this.#queue) {
      records += step.kind === 'records' ? step.happenings.length : 0
      if (records > BATCH_MAX && count > 0) break
      count++
    }
    return this.#queue.slice(0, count)
  }

  /** Up to where the journal has the log once these are written; undefined where that is not worth a batch of its own. */
  #covers(queued: readonly Queued[]): number | undefined {
    const stretch = this.#stretch
    if (!stretch) return undefined
    const own = queued.filter((each) => each.stretch === stretch)
    const lsn = own.length === stretch.waiting ? stretch.readTo : (own.at(-1)?.lsn ?? 0)
    if (queued.length > 0) return lsn > 0 ? lsn : undefined
    const quietMs = this.#options.clock.now() - this.#coveredAt
    const isDue = quietMs > COVER_MS || (quietMs > COVER_LEAST_MS && lsn - stretch.written > COVER_BYTES)
    return lsn > stretch.written && isDue ? lsn : undefined
  }

  async #write(queued: readonly Queued[], covered: number | undefined): Promise<void> {
    if (queued.length === 0 && covered === undefined) return
    const { log, append } = this.#options
    const stretch = this.#stretch
    const steps = queued.map(({ step }) => step)
    const batch = { log, steps, covered, isRetry: this.#isRetry, wantsHeads: this.#journal === '', now: this.#now() }
    const { journal, heads, written } = await append(batch)
    this.#journal = journal
    for (const [chain, head] of heads) this.#unsigned.set(chain, head)
    this.#queue.splice(0, queued.length)
    for (const { step, stretch } of queued) {
      if (stretch) stretch.waiting--
      if (step.kind !== 'records') continue
      this.#records -= step.happenings.length
      if (!stretch) this.#effects--
    }
    this.#isRetry = false
    this.#written += written
    if (!stretch || covered === undefined) return
    this.#coveredAt = this.#options.clock.now()
    stretch.written = Math.max(stretch.written, covered)
  }

  /** The second place has it before the slot is moved on, or the end of the journal could be cut unseen. */
  async #sign(): Promise<void> {
    const heads = new Map(this.#unsigned)
    await this.#options.signed(this.#journal, heads)
    for (const [chain, head] of heads) if (this.#unsigned.get(chain) === head) this.#unsigned.delete(chain)
    const stretch = this.#stretch
    if (stretch) stretch.covered = stretch.written
    if (stretch && stretch.covered > 0) this.#knows(stretch.epoch, stretch.covered)
    this.#state = 'writing'
    this.#reason = ''
    if (this.#queue.length === 0) for (const drained of this.#drained.splice(0)) drained()
  }

  /** What is delivered again begins before what is known. */
  #knows(epoch: string, to: number): void {
    this.#known = { epoch, to: epoch === this.#known.epoch ? Math.max(to, this.#known.to) : to }
  }

  /** In µs since 1970. */
  #now(): number {
    return Math.round(this.#options.clock.wall() * 1_000)
  }

  /** All that could be kept is written: what could not is delivered again. */
  #rest(): void {
    const stretch = this.#overflowed
    if (!stretch || stretch.hasEnded) return
    this.#overflowed = undefined
    stretch.again('The journal was behind, and has caught up: what waited for it in the log is delivered again.')
  }

  #failed(error: unknown): void {
    this.#isRetry = true
    this.#state = 'waiting'
    this.#reason = `The journal can't be written, so what is to be recorded waits, at last in the log. ${whyNotWritten(error)}`
  }
}

/** What one stream of the shared slot tells. */
class RecordedStretch implements Stretch {
  readonly epoch: string
  readonly again: (reason: string) => void
  readonly #told: Pick<Stretch, 'committed' | 'passed'>
  covered = 0
  /** All up to here is in the tables; `covered` once that is signed too. */
  written = 0
  /** All up to here is in the queue, or was written. */
  readTo: number
  /** How much of it is in the queue. */
  waiting = 0
  hasEnded = false

  constructor({ epoch, from, again }: Delivery, told: Pick<Stretch, 'committed' | 'passed'>) {
    this.epoch = epoch
    this.readTo = from
    this.again = again
    this.#told = told
  }

  committed(transaction: Transaction): void {
    this.#told.committed(transaction)
  }

  passed(lsn: number): void {
    this.#told.passed(lsn)
  }

  end(): void {
    this.hasEnded = true
  }
}
