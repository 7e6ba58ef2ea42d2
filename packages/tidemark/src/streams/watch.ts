import { onAbort } from '../abort.js'
import type { Answer } from '../answer.js'
import { type NotWatchableError, TidemarkError } from '../errors.js'

/** What a watch needs of the cache. */
export interface Watched {
  /** Reads the entry, waiting for proofs without a bound. */
  ask(): Promise<Answer<unknown>>
  /** Keeps the entry from eviction, and returns when it expires (ms from now), or why it is not kept. */
  hold(): { readonly expiresInMs: number } | { readonly notKept: 'again' | 'later' | NotWatchableError }
  /** When the entry was filled that a read would get as fresh now; undefined if there is none. */
  freshAt(): number | undefined
  /** Runs `wake` after `ms`. */
  after(ms: number, wake: () => void): { cancel(): void }
  /** Nobody watches any more. */
  released(): void
}

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 5_000
/** What can't be kept yet is looked at again at least this often. */
const LATER_MAX_MS = 500

/**
 * One entry, watched by any number of readers: recomputed once for all of them after each change that touched it, at most one
 * recomputation in flight and one queued. Each reader sees states, the newest first: those in between may be left out.
 */
export class Watch {
  readonly #watched: Watched
  readonly #readers = new Set<WatchReader>()
  #latest: Answer<unknown> | undefined
  /** When the entry was filled that `#latest` came from; undefined once it was touched. */
  #latestAt: number | undefined
  /** Those who came while the answer was on its way: it may be from before a change that they came after. */
  readonly #late = new Set<WatchReader>()
  /** What is asked for now was current before: it is for those who have nothing yet. */
  #isSame = false
  #isAsking = false
  #isTouched = false
  #isRunning = false
  #isClosed = false
  #wake: (() => void) | undefined
  #failures = 0

  constructor(watched: Watched) {
    this.#watched = watched
  }

  /** A new reader: gets the latest value at once if it still holds. */
  read(signal: AbortSignal | undefined): AsyncIterableIterator<Answer<unknown>> {
    const reader = new WatchReader(signal, () => {
      this.#readers.delete(reader)
      if (this.#readers.size === 0) this.#release()
    })
    this.#readers.add(reader)
    if (this.#latest && this.#isCurrent) reader.offer(this.#latest)
    else if (this.#isAsking) this.#late.add(reader)
    else this.#wake?.()
    if (!this.#isRunning) {
      this.#isRunning = true
      this.#step()
    }
    return reader
  }

  /** The entry was touched, expired or lost: what was offered may not hold any more. */
  touch(): void {
    this.#isTouched = true
    this.#latestAt = undefined
    this.#wake?.()
  }

  close(error?: Error): void {
    if (this.#isClosed) return
    for (const reader of [...this.#readers]) reader.end(error)
    this.#release()
  }

  /** Steps call each other, and are no async functions: what those leave behind while they wait grows old with each change. */
  readonly #step = (): void => {
    if (this.#isClosed) return
    this.#isTouched = false
    this.#isSame = this.#isCurrent
    const held = this.#isSame ? this.#watched.hold() : undefined
    // Timers fire early by a hair: nothing has expired yet, and all have the value.
    if (held && 'expiresInMs' in held && this.#unserved().length === 0) return this.#pause(held.expiresInMs)
    if (this.#late.size > 0) this.#late.clear()
    this.#isAsking = true
    this.#watched.ask().then(this.#answered, this.#failed)
  }

  readonly #answered = (answer: Answer<unknown>): void => {
    this.#isAsking = false
    if (!this.#isClosed) this.#take(answer, this.#isSame && answer.from === 'l1')
  }

  readonly #failed = (error: unknown): void => {
    this.#isAsking = false
    // Who has no value yet learns why; who has one keeps it until the source is back.
    if (this.#latest === undefined || !isPassing(error)) this.close(error as Error)
    else this.#pause(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures++))
  }

  #take(answer: Answer<unknown>, isSame: boolean): void {
    const held = this.#watched.hold()
    if ('notKept' in held && held.notKept instanceof TidemarkError) return this.close(held.notKept)
    // What is fenced or stale is not sent: it is computed again when that can help.
    if (answer.state === 'fresh') {
      this.#failures = 0
      this.#latest = answer
      for (const reader of isSame ? this.#unserved() : this.#readers) if (!this.#late.has(reader)) reader.offer(answer)
      if (!this.#isTouched) this.#latestAt = this.#watched.freshAt()
    }
    if (this.#isTouched || this.#late.size > 0) this.#pause(0)
    else if ('expiresInMs' in held && answer.state === 'fresh') this.#pause(Math.max(RETRY_MIN_MS, held.expiresInMs))
    else if (answer.state !== 'fresh' || ('notKept' in held && held.notKept === 'later'))
      this.#pause(Math.min(LATER_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures++))
    else this.#pause(0)
  }

  /** Whether `#latest` is what a read would get now. */
  get #isCurrent(): boolean {
    return this.#latestAt !== undefined && this.#watched.freshAt() === this.#latestAt
  }

  #unserved(): WatchReader[] {
    return [...this.#readers].filter((reader) => !reader.isServed)
  }

  /** Steps on when touched, or after so long: by a promise, so that loaders run on behalf of who watches, not of who touched. */
  #pause(ms: number): void {
    const woken = new Promise<void>((resolve) => {
      let timer: { cancel(): void } | undefined
      const wake = (): void => {
        timer?.cancel()
        this.#wake = undefined
        resolve()
      }
      this.#wake = wake
      if (this.#isClosed || ms === 0) wake()
      // A timer holds at most 2^31 - 1 ms; waking early only costs a look.
      else if (ms !== Number.POSITIVE_INFINITY) timer = this.#watched.after(Math.min(ms, 2 ** 31 - 1), wake)
    })
    void woken.then(this.#step)
  }

  #release(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#wake?.()
    this.#watched.released()
  }
}

/** Errors that pass by themselves: the loader's own, and a source that is down. Those of the cache's use do not. */
function isPassing(error: unknown): boolean {
  return (
    !(error instanceof TidemarkError) ||
    error.code === 'TIDEMARK_SOURCE_DOWN' ||
    error.code === 'TIDEMARK_LOADER_TIMEOUT'
  )
}

/** One reader of a watch: holds the newest answer that it has not taken, and no other. */
class WatchReader implements AsyncIterableIterator<Answer<unknown>> {
  readonly #left: () => void
  readonly #unlisten: () => void
  #next: Answer<unknown> | undefined
  #waiting: WaitingReader | undefined
  #error: Error | undefined
  #isEnded = false
  /** It was offered a value. */
  isServed = false

  constructor(signal: AbortSignal | undefined, left: () => void) {
    this.#left = left
    this.#unlisten = onAbort(signal, () => this.end(undefined))
    if (signal?.aborted) queueMicrotask(() => this.end(undefined))
  }

  offer(answer: Answer<unknown>): void {
    if (this.#isEnded) return
    this.isServed = true
    if (!this.#waiting) {
      this.#next = answer
      return
    }
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting.resolve(new Taken(answer))
  }

  end(error: Error | undefined): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#error = error
    this.#next = undefined
    this.#unlisten()
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting && error) {
      this.#error = undefined
      waiting.reject(error)
    } else {
      waiting?.resolve({ value: undefined, done: true })
    }
    this.#left()
  }

  next(): Promise<IteratorResult<Answer<unknown>>> {
    const answer = this.#next
    if (answer) {
      this.#next = undefined
      return Promise.resolve(new Taken(answer))
    }
    if (this.#isEnded) {
      const error = this.#error
      this.#error = undefined
      return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true })
    }
    return new Promise((resolve, reject) => {
      this.#waiting = new WaitingReader(this.#waiting, resolve, reject)
    })
  }

  return(): Promise<IteratorResult<Answer<unknown>>> {
    this.end(undefined)
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

type Result = IteratorResult<Answer<unknown>>

/** A reader that waits for a value. A second call of `next()` while one waits is answered along with it. */
class WaitingReader {
  readonly #earlier: WaitingReader | undefined
  readonly #resolve: (result: Result) => void
  readonly #reject: (error: unknown) => void

  constructor(earlier: WaitingReader | undefined, resolve: (result: Result) => void, reject: (error: unknown) => void) {
    this.#earlier = earlier
    this.#resolve = resolve
    this.#reject = reject
  }

  resolve(result: Result): void {
    this.#earlier?.resolve(result)
    this.#resolve(result)
  }

  reject(error: unknown): void {
    this.#earlier?.reject(error)
    this.#reject(error)
  }
}

/** What `next()` gives. A class, as it is made at each change: why, see Run. */
class Taken<Value> implements IteratorYieldResult<Value> {
  readonly value: Value
  readonly done = false

  constructor(value: Value) {
    this.value = value
  }
}

/** A watch that begins when `ready` resolves, and fails if that does. `ready` ends with its signal. */
export function watchAfter<Value>(
  ready: (signal: AbortSignal) => Promise<void>,
  open: () => AsyncIterableIterator<Value>,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<Value> {
  const ended = new AbortController()
  const unlisten = onAbort(signal, () => ended.abort())
  if (signal?.aborted) ended.abort()
  const opened = ready(ended.signal).then(open)
  // Nobody may ask for the first value.
  opened.catch(() => undefined).finally(unlisten)
  const done = { value: undefined, done: true } as const
  return {
    async next() {
      try {
        return ended.signal.aborted ? done : await (await opened).next()
      } catch (error) {
        if (ended.signal.aborted) return done
        throw error
      }
    },
    async return() {
      ended.abort()
      await opened.then(
        (watch) => watch.return!(),
        () => undefined,
      )
      return done
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/** The values alone. Not a generator: that would hold back `return()` while its reader waits for the next change. */
export function valuesOf<Value>(answers: AsyncIterableIterator<Answer<Value>>): AsyncIterableIterator<Value> {
  const bare = (result: IteratorResult<Answer<Value>>): IteratorResult<Value> =>
    result.done ? { value: undefined, done: true } : new Taken(result.value.value)
  return {
    next: () => answers.next().then(bare),
    return: () => answers.return!().then(bare),
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
