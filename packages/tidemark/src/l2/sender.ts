import type { Clock } from '../clock.js'
import type { Counters } from '../counters.js'
import type { Follower } from '../follow/follower.js'
import type { Change, Commit } from '../log/change.js'
import type { L2, L2Answer } from '../tiers/l2.js'
import { Marks, Shapes } from '../tiers/stamps.js'

const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 2_000

export interface L2SenderOptions {
  readonly l2: L2
  readonly follower: Follower
  readonly clock: Clock
  readonly counters: Counters
  /** L2's tidemark is moved at least so often. */
  readonly everyMs: number
  /** More changes than this do not wait for an L2 that does not answer: there is a gap, and L2 starts anew. */
  readonly changesMax: number
  /** The epoch as L2 knows it; undefined before the log was taken up. */
  epoch(): string | undefined
}

/**
 * Tells L2 what happened in the log: one batch at a time, of all that was applied meanwhile. Every process does so, with what it
 * follows itself; what another has told already does nothing.
 */
export class L2Sender {
  readonly #options: L2SenderOptions
  #queue: { readonly lsn: number; readonly changes: readonly Change[] }[] = []
  #queued = 0
  /** Up to here L2 was told, or it is where this process took up the log. */
  #prev = 0
  #shapes = new Shapes([])
  #shapesId: string | undefined
  #isSending = false
  #isDue = false
  #isClosed = false
  #generation = -1
  #behindSince: number | undefined
  #timer: { cancel(): void } | undefined
  #paused: { cancel(): void } | undefined
  #pausing = (): void => {}
  /** How far L2 has applied the log, as far as this process knows; 0 while it does not. */
  m = 0

  constructor(options: L2SenderOptions) {
    this.#options = options
    this.#beat()
  }

  /** The log was taken up anew. */
  started(): void {
    this.#forget()
    this.#send()
  }

  applied(commit: Commit): void {
    this.#queue.push({ lsn: commit.lsn, changes: commit.changes })
    this.#queued += commit.changes.length
    if (this.#queued > this.#options.changesMax) this.#forget()
    this.#send()
  }

  /** L2 said where it stands in this epoch. */
  stands(m: number): void {
    if (m > this.m) this.m = m
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#paused?.cancel()
    this.#pausing()
    this.#queue = []
  }

  /** From here on it tells; what lies before is a gap, unless L2 knows it from others. */
  #forget(): void {
    this.#queue = []
    this.#queued = 0
    this.#prev = this.#options.follower.tidemark
    this.#generation = this.#options.follower.generation
    this.#behindSince = undefined
    this.m = 0
  }

  #beat(): void {
    this.#timer = this.#options.clock.after(this.#options.everyMs, () => {
      this.#beat()
      this.#send()
    })
  }

  #send(): void {
    this.#isDue = true
    if (this.#isSending || this.#isClosed) return
    this.#isSending = true
    // What is applied in this turn goes with it.
    queueMicrotask(() => void this.#run())
  }

  async #run(): Promise<void> {
    let retryMs = RETRY_FIRST_MS
    while (this.#isDue && !this.#isClosed) {
      this.#isDue = false
      const { follower, clock, counters } = this.#options
      const epoch = this.#options.epoch()
      if (!follower.isFollowing || epoch === undefined || this.#generation !== follower.generation) break
      let waitMs: number
      try {
        waitMs = await this.#batch(epoch)
        retryMs = RETRY_FIRST_MS
      } catch {
        counters.l2Errors++
        waitMs = retryMs * (0.5 + clock.random())
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)
      }
      if (waitMs === 0 || this.#isClosed) continue
      await this.#pause(waitMs)
      this.#isDue = true
    }
    this.#isSending = false
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#pausing = resolve
      this.#paused = this.#options.clock.after(ms, resolve)
    })
  }

  /** Tells all that is queued. Returns how long to wait before what could not be done now is tried again; 0 if it is done. */
  async #batch(epoch: string): Promise<number> {
    const { l2, follower, clock, everyMs } = this.#options
    const { generation } = follower
    const end = follower.tidemark
    const count = this.#queue.length
    const marks = new Marks()
    for (const { lsn, changes } of this.#queue) this.#shapes.mark(changes, lsn, marks)
    // Another process that followed without a break has moved L2's tidemark by then, and this one's batch follows it.
    const mayReset = this.#behindSince !== undefined && clock.now() - this.#behindSince >= 2 * everyMs
    const prev = this.#prev
    const answer = await l2.invalidate({ epoch, prev, end, shapes: this.#shapesId, marks: marks.all, mayReset })
    if (generation !== follower.generation || prev !== this.#prev || this.#isClosed) return 0
    return this.#answered(answer, end, count)
  }

  #answered(answer: L2Answer, end: number, count: number): number {
    switch (answer.state) {
      case 'applied': {
        const sent = this.#queue.splice(0, count)
        for (const { changes } of sent) this.#queued -= changes.length
        this.#prev = end
        this.#behindSince = undefined
        this.m = Math.max(answer.m, end)
        return 0
      }
      case 'shapes':
        this.#shapes = new Shapes(answer.shapes ?? [])
        this.#shapesId = answer.shapesId
        this.#isDue = true
        return 0
      case 'behind':
        this.#behindSince ??= this.#options.clock.now()
        return RETRY_FIRST_MS
    }
  }
}
