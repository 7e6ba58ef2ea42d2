import type { Claim, JournalRequests, RequestName } from '@tidemark/postgres'
import { BehindError, type Clock } from 'tidemark'
import { ReusedRequestIdError } from '../errors.js'
import type { Outcome } from './invalidator.js'

/** While it can't be asked, requests are not held up: each process then knows its own. */
const ASK_MAX_MS = 500
const LOOK_MS = 20
/** A longer answer is kept without its further pages. */
const ANSWER_MAX = 2 ** 20
const MATCHED_SHORT = 1_000

/** What all processes know of requests that have an id: the journal's, where there is one. */
export class SharedMemory {
  readonly #requests: JournalRequests
  readonly #clock: Clock
  readonly #waitMaxMs: number

  /** @param waitMaxMs  so long it is waited for what another process is doing */
  constructor(requests: JournalRequests, clock: Clock, waitMaxMs: number) {
    this.#requests = requests
    this.#clock = clock
    this.#waitMaxMs = waitMaxMs
  }

  /**
   * What another process answered to the request; else what it is run for here.
   *
   * @throws ReusedRequestIdError; BehindError if another process has been making it for too long
   */
  async once(name: RequestName, fingerprint: string, run: () => Promise<Outcome>): Promise<[Outcome, isNew: boolean]> {
    const end = this.#clock.now() + this.#waitMaxMs
    for (;;) {
      const claiming = this.#requests.claim(name, fingerprint)
      const claim = await this.#bounded(() => claiming)
      if (claim === undefined) return [await this.#unclaimed(name, claiming, run), true]
      if (claim.kind === 'claimed') return [await this.#claimed(name, run), true]
      if (claim.fingerprint !== fingerprint) throw new ReusedRequestIdError()
      if (claim.kind === 'answered') return [decode(claim.answer), false]
      if (this.#clock.now() > end)
        throw new BehindError(
          'Another process is making the request of this id, and has not ended. Ask again, with the same request id.',
        )
      await new Promise<void>((resolve) => this.#clock.after(LOOK_MS, resolve))
    }
  }

  /** What came of a request; undefined if that is not known. */
  async find(name: RequestName): Promise<Outcome | undefined> {
    const known = await this.#bounded(() => this.#requests.find(name))
    return known?.kind === 'answered' ? decode(known.answer) : undefined
  }

  /** Tells the others what came of a request that was made here. Behind its answer: whoever asks elsewhere meanwhile waits for it. */
  store(name: RequestName, outcome: Outcome): void {
    this.#requests.answered(name, encode(outcome)).catch(() => {})
  }

  /** Made without waiting for the claim, which may arrive all the same: then the others are told what came of it, as nobody else would. */
  #unclaimed(name: RequestName, claiming: Promise<Claim>, run: () => Promise<Outcome>): Promise<Outcome> {
    const outcome = run()
    const told = claiming.then(({ kind }) => (kind === 'claimed' ? this.#claimed(name, () => outcome) : undefined))
    told.catch(() => {})
    return outcome
  }

  async #claimed(name: RequestName, run: () => Promise<Outcome>): Promise<Outcome> {
    try {
      const outcome = await run()
      this.store(name, outcome)
      return outcome
    } catch (error) {
      this.#requests.failed(name).catch(() => {})
      throw error
    }
  }

  /** undefined where it could not be asked in time. */
  async #bounded<Answer extends Claim | undefined>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
    let late: { cancel(): void } | undefined
    const bound = new Promise<undefined>((resolve) => {
      late = this.#clock.after(ASK_MAX_MS, () => resolve(undefined))
    })
    return Promise.race([ask().catch(() => undefined), bound]).finally(() => late?.cancel())
  }
}

/** The keys that were matched are often those that were named: then they are written once. */
function encode(outcome: Outcome): string {
  const { matched, keys } = outcome
  if (matched === keys) return JSON.stringify({ ...outcome, matched: null })
  // Not by writing them all first: they may be 10 MB, for which nothing else would be done.
  const isLong = matched.reduce((length, key) => length + key.length + 3, 0) > ANSWER_MAX
  return JSON.stringify({ ...outcome, matched: isLong ? matched.slice(0, MATCHED_SHORT) : matched })
}

function decode(text: string): Outcome {
  const outcome = JSON.parse(text) as Outcome & { readonly matched: readonly string[] | null }
  return { ...outcome, matched: outcome.matched ?? outcome.keys }
}
