import {
  type Answer,
  BehindError,
  type CallOptions,
  type Clock,
  ClosedError,
  formatPosition,
  parsePosition,
} from 'tidemark'
import { isFinal } from '../problem.js'
import type { Representation } from '../resources/representation.js'
import { type Frame, frameOf, judge, type Mark, parseEventId } from './frame.js'
import type { Sink } from './sink.js'
import { Subscriber } from './subscriber.js'

/** An entry that can be followed. */
export interface Followed {
  /** Distinguishes it from all others. */
  readonly key: string
  ask(options?: CallOptions): Promise<Answer<Representation>>
  watch(signal: AbortSignal): AsyncIterableIterator<Answer<Representation>>
}

export interface HubOptions {
  readonly clock: Clock
  /** When a client should ask again, in ms. */
  readonly retryMs: () => number
  /** The epoch of the log that this process follows; undefined before it was taken up. */
  readonly epoch: () => string | undefined
  /** Where this process is once it has applied all that is committed now; undefined if that takes too long. */
  readonly latest: (signal: AbortSignal) => Promise<string | undefined>
}

const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 5_000
/** A client whose stream can't be served asks again no sooner than this. */
const REFUSED_RETRY_MS = 60_000

/**
 * One entry, streamed to any number of clients: watched once, and each of its states written once for all of them.
 */
export class Hub {
  readonly #bound: Followed
  readonly #options: HubOptions
  readonly #subscribers = new Set<Subscriber>()
  readonly #ended = new AbortController()
  readonly #emptied: () => void
  #latest: Frame | undefined
  #written: { readonly answer: Answer<Representation>; readonly frame: Frame } | undefined

  /** `emptied` is called when the last client has left; the hub is then of no more use. */
  constructor(bound: Followed, options: HubOptions, emptied: () => void) {
    this.#bound = bound
    this.#options = options
    this.#emptied = emptied
    void this.#watch()
  }

  get size(): number {
    return this.#subscribers.size
  }

  /** Sends the value now, unless the client has it, and then every new one. `lastEventId` is where the client left off. */
  subscribe(sink: Sink, lastEventId: string | undefined): void {
    const seen = parseEventId(lastEventId)
    const subscriber = new Subscriber(sink, seen)
    this.#subscribers.add(subscriber)
    sink.signal.addEventListener('abort', () => this.#leave(subscriber))
    void this.#begin(subscriber, seen)
  }

  #leave(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber)
    if (this.#subscribers.size > 0 || this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#emptied()
  }

  /**
   * Every client asks for itself as it comes, so that it gets what is fresh then: the latest state of the watch may be one
   * that a change has just made stale. It is a hit, or joins the recomputation that the watch has begun.
   */
  async #begin(subscriber: Subscriber, seen: Mark | undefined): Promise<void> {
    const { signal } = subscriber.sink
    const floor = seen === undefined ? {} : await this.#admit(subscriber, seen)
    for (
      let delayMs = BACKOFF_MIN_MS;
      !signal.aborted && !subscriber.isCurrent;
      delayMs = Math.min(delayMs * 2, BACKOFF_MAX_MS)
    ) {
      try {
        const answer = await this.#bound.ask({ signal, ...floor })
        if (answer.state === 'fresh' && answer.asOf !== undefined) subscriber.offer(this.#frame(answer))
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof BehindError) break
        if (isFinal(error)) return this.#refuse(subscriber, error)
        subscriber.sink.waiting(error)
      }
      // A read has waited for the position for as long as reads do: another process may have reached it. Others wait on.
      if (subscriber.isCurrent || floor.minPosition !== undefined) break
      await this.#pause(delayMs, signal)
    }
    if (!subscriber.isCurrent) subscriber.sink.end(this.#options.retryMs())
  }

  /**
   * What a client saw in another process may be newer than its id says, which is as of when that held: the loader reads the source, which is
   * ahead of every log. So nothing is sent before all is applied that is committed now. Positions of another epoch are not ordered.
   */
  async #admit(subscriber: Subscriber, seen: Mark): Promise<{ minPosition?: string }> {
    const epoch = this.#options.epoch()
    const isOrdered = epoch === undefined || epoch === seen.epoch
    // Where the source does not answer, nobody can have loaded anything newer just now.
    const latest = isOrdered ? await this.#options.latest(subscriber.sink.signal).catch(() => undefined) : undefined
    const place = latest === undefined ? undefined : parsePosition(latest)
    if (place?.epoch !== seen.epoch || place.lsn < seen.lsn) {
      subscriber.admit()
      return isOrdered && (place === undefined || place.epoch === seen.epoch)
        ? { minPosition: formatPosition(seen) }
        : {}
    }
    subscriber.admit({ epoch: seen.epoch, lsn: place.lsn })
    return { minPosition: formatPosition({ epoch: seen.epoch, lsn: place.lsn }) }
  }

  async #watch(): Promise<void> {
    const { signal } = this.#ended
    for (let delayMs = BACKOFF_MIN_MS; !signal.aborted; delayMs = Math.min(delayMs * 2, BACKOFF_MAX_MS)) {
      try {
        for await (const answer of this.#bound.watch(signal)) {
          delayMs = BACKOFF_MIN_MS
          if (answer.asOf !== undefined) this.#publish(this.#frame(answer))
        }
        if (!signal.aborted) return this.#endAll()
      } catch (error) {
        if (error instanceof ClosedError) return this.#endAll()
        if (isFinal(error)) return this.#refuseAll(error)
        for (const { sink } of this.#subscribers) sink.waiting(error)
      }
      await this.#pause(delayMs, signal)
    }
  }

  #publish(frame: Frame): void {
    if (judge(frame, this.#latest) === 'older') return
    this.#latest = frame
    for (const subscriber of this.#subscribers) subscriber.offer(frame)
  }

  /** Clients that come between two changes get the same bytes. */
  #frame(answer: Answer<Representation>): Frame {
    const written = this.#written
    if (written?.answer.value === answer.value && written.answer.asOf === answer.asOf) return written.frame
    const frame = frameOf(answer.asOf!, answer.value)
    this.#written = { answer, frame }
    return frame
  }

  #endAll(): void {
    for (const { sink } of this.#subscribers) sink.end(this.#options.retryMs())
  }

  #refuseAll(error: unknown): void {
    for (const subscriber of this.#subscribers) this.#refuse(subscriber, error)
  }

  #refuse({ sink }: Subscriber, error: unknown): void {
    sink.refuse(error, REFUSED_RETRY_MS + this.#options.retryMs())
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = clock.after(ms * (0.5 + clock.random() / 2), wake)
      signal.addEventListener('abort', wake)
    })
  }
}
