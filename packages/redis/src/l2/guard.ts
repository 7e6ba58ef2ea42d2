import type { Clock } from 'tidemark'
import { L2DownError, type L2DownReason } from './errors.js'

export interface GuardOptions {
  readonly clock: Clock
  /** So many failures one after the other pause it. */
  readonly failuresMax: number
  /** How long the first pause lasts; each that follows without a success in between is twice as long, up to `pauseMaxMs`. */
  readonly pauseMs: number
  readonly pauseMaxMs: number
  /** Whether commands reach Redis now. */
  isReady(): boolean
  /** Hears of each failure. */
  failed(reason: L2DownReason): void
}

type State =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly until: number; readonly pauseMs: number }
  /** One call finds out whether Redis is well again. */
  | { readonly kind: 'trying'; readonly pauseMs: number }

/** Errors are made once where nothing was sent: a stack for each read would cost more than the read. */
const PAUSED = new L2DownError(
  'paused',
  'Redis failed several times one after the other, and is left alone for a moment. Reads go on without it.',
)
const NOT_CONNECTED = new L2DownError('not-connected', 'The client is not connected to Redis. Reads go on without it.')

/** Bounds what a sick Redis may cost: each call has a deadline, and after some failures none is sent for a while. */
export class Guard {
  readonly #options: GuardOptions
  #state: State = { kind: 'closed', failures: 0 }

  constructor(options: GuardOptions) {
    this.#options = options
  }

  /** It is left alone now. */
  get isPaused(): boolean {
    return this.#state.kind === 'open' && this.#options.clock.now() < this.#state.until
  }

  /** Why nothing may be sent now; undefined if something may. Counts as nothing. */
  refusal(): L2DownError | undefined {
    if (!this.#options.isReady()) return NOT_CONNECTED
    return this.isPaused || this.#state.kind === 'trying' ? PAUSED : undefined
  }

  /**
   * Sends something, and waits for it until the deadline.
   *
   * @param isUrgent it is sent though Redis is left alone
   * @throws L2DownError (`TIDEMARK_L2_DOWN`)
   */
  async call<Answer>(deadlineMs: number, isUrgent: boolean, send: () => Promise<Answer>): Promise<Answer> {
    const refusal = this.refusal()
    if (refusal && !(isUrgent && refusal === PAUSED)) {
      this.#options.failed(refusal.reason)
      throw refusal
    }
    if (this.#state.kind === 'open') this.#state = { kind: 'trying', pauseMs: this.#state.pauseMs }
    try {
      const answer = await this.#within(deadlineMs, send)
      this.#state = { kind: 'closed', failures: 0 }
      return answer
    } catch (error) {
      const down =
        error instanceof L2DownError
          ? error
          : new L2DownError('error', `Redis answered with an error: ${errorCode(error)}.`, { cause: error })
      this.#fail()
      this.#options.failed(down.reason)
      throw down
    }
  }

  #fail(): void {
    const { clock, failuresMax, pauseMs, pauseMaxMs } = this.#options
    const state = this.#state
    const pause = (ms: number): State => ({
      kind: 'open',
      until: clock.now() + ms,
      pauseMs: Math.min(ms * 2, pauseMaxMs),
    })
    switch (state.kind) {
      case 'closed':
        this.#state =
          state.failures + 1 >= failuresMax ? pause(pauseMs) : { kind: 'closed', failures: state.failures + 1 }
        break
      case 'trying':
        this.#state = pause(state.pauseMs)
        break
      case 'open':
        // A late failure of a call that was sent before.
        break
      default:
        state satisfies never
    }
  }

  #within<Answer>(deadlineMs: number, send: () => Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(deadlineMs, () =>
        reject(new L2DownError('deadline', `Redis did not answer within ${deadlineMs} ms.`)),
      )
      send().then(
        (answer) => {
          timer.cancel()
          resolve(answer)
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }
}

/** Redis' own name for the error: its first word in capitals. Messages may hold keys. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return /^[A-Z]{2,}/.exec(error.message)?.[0] ?? error.name
}
