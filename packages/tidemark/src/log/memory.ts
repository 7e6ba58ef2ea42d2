import { ClosedError } from '../errors.js'
import type { Change, TargetChange } from './change.js'
import type { Log, LogListener, LogStatus, Probe } from './log.js'

/** The log of one process that follows no source: requests to invalidate, in order. Lives as long as the process. */
export class MemoryLog implements Log {
  readonly isLocal = true
  readonly #state: LogStatus
  #listener: LogListener | undefined
  #end = 0
  #isClosed = false

  /** @param reason why there is nothing else to follow, in words, for health */
  constructor(reason = 'no source is followed; entries leave by expiry and explicit invalidation') {
    this.#state = { state: 'off', reason }
  }

  follow(listener: LogListener): void {
    this.#listener = listener
    listener.started({ epoch: 'memory', lsn: this.#end, proof: { kind: 'visible' } })
  }

  probe(): Promise<Probe> {
    return Promise.resolve({ snapshot: undefined, flushed: this.#end })
  }

  nudge(): void {
    // What was appended was delivered.
  }

  async append(change: TargetChange): Promise<void> {
    this.write([change])
  }

  /** Appends any changes as one record. */
  write(changes: readonly Change[], committedAt = Date.now()): void {
    if (this.#isClosed) throw new ClosedError('The log was closed with its cache. Create a new cache.')
    const prev = this.#end
    this.#end = prev + 1
    this.#listener?.commit({ lsn: this.#end, xid: undefined, committedAt, changes, prev })
  }

  visible(position: { readonly lsn: number }): Promise<boolean> {
    return Promise.resolve(position.lsn <= this.#end)
  }

  status(): LogStatus {
    return this.#isClosed ? { state: 'closed', reason: 'the cache was closed' } : this.#state
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }
}
