import { argumentsOf } from './arguments.js'
import type { Refilled, RefillOptions, RefillPlan } from './cache.js'
import type { Core } from './core.js'
import type { Definitions } from './definitions.js'
import { OptionError } from './errors.js'
import { namesOf } from './options.js'
import { visit, type Wanted } from './preview.js'
import type { Keyspace } from './read/keyspace.js'
import type { Request } from './read/request.js'
import { Slices } from './slices.js'

/** Of more entries the hottest. */
const LOADS_MAX = 10_000
const CONCURRENCY = 4

/**
 * How the entries that are named, and what was computed from them, can be filled again: to be asked before they go. Those that were read
 * since room was last made come first.
 */
export async function planRefill(core: Core, definitions: Definitions, wanted: Wanted): Promise<RefillPlan> {
  const { l1, clock } = core
  const from = clock.now()
  const hot: number[] = []
  const cold: number[] = []
  await visit(core, wanted, (slot) => void (l1.isHot(slot) ? hot : cold).push(slot))
  const slices = new Slices(clock, wanted.signal)
  const requests: Request[] = []
  let [left, unknown, unmeasured, sourceMs] = [hot.length + cold.length, 0, 0, 0]
  for (const slots of [hot, cold]) {
    for (const slot of slots) {
      if (requests.length >= LOADS_MAX) break
      if (slices.isOver) await slices.next()
      left--
      // Between two slices it may have gone, and another come in its place.
      if (!l1.holds(slot) || l1.filledAtOf(slot) > from) continue
      const space = l1.spaceOf(slot) as Keyspace
      const key = l1.keyOf(slot)
      const args = argumentsOf(key)
      const request = args && definitions.request(space, key, args)
      if (!request) unknown++
      else {
        requests.push(request)
        sourceMs += space.loadMs ?? 0
        if (space.loadMs === undefined) unmeasured++
      }
    }
  }
  unknown += left
  return {
    loads: requests.length,
    sourceMs,
    unmeasured,
    unknown,
    run: (options = {}) => {
      checkOptions(options)
      return new Refill(core, requests, options).run()
    },
  }
}

/** One refill at work: so many loads at once, and a second. */
class Refill {
  readonly #core: Core
  readonly #requests: readonly Request[]
  readonly #options: RefillOptions
  readonly #everyMs: number
  #next = 0
  /** When the next load may begin (monotonic ms). */
  #turnAt: number
  #filled = 0
  #failed = 0
  #giveUp = (): void => {}
  /** Ends the waits of those that have no turn yet. */
  readonly #waits = new Set<() => void>()

  constructor(core: Core, requests: readonly Request[], options: RefillOptions) {
    this.#core = core
    this.#requests = requests
    this.#options = options
    this.#everyMs = options.perSecond === undefined ? 0 : 1_000 / options.perSecond
    this.#turnAt = core.clock.now()
  }

  async run(): Promise<Refilled> {
    const { concurrency = CONCURRENCY, signal } = this.#options
    const working = Array.from({ length: Math.min(concurrency, this.#requests.length) }, () => this.#work())
    // Who gives it up does not wait for a slow loader: what that brings counts no more.
    const givenUp = new Promise<void>((resolve) => {
      this.#giveUp = () => {
        this.#wake()
        resolve()
      }
    })
    signal?.addEventListener('abort', this.#giveUp)
    if (signal?.aborted) this.#giveUp()
    await Promise.race([Promise.all(working), givenUp])
    signal?.removeEventListener('abort', this.#giveUp)
    return this.#refilled
  }

  get #refilled(): Refilled {
    return { filled: this.#filled, failed: this.#failed }
  }

  async #work(): Promise<void> {
    const { reads, spaces } = this.#core
    for (let taken = this.#take(); taken; taken = this.#take()) {
      // A keyspace that stood empty for long may have been forgotten, and another made in its place.
      const { tenant, name, session } = taken.space
      const request = taken.uncalled(spaces.get(tenant, name, session))
      // A reader was faster.
      if (reads.fresh(request.space, request.key) < 0) {
        await this.#turn()
        if (this.#isStopped) return
        // As for what is watched: nothing is kept that a change overtakes, so it waits for the proof.
        const isFilled = await reads.ask(request, Number.POSITIVE_INFINITY).then(
          () => true,
          () => false, // who reads it is told the error
        )
        if (!isFilled && !this.#options.signal?.aborted) this.#failed++
      }
      if (this.#options.signal?.aborted) return
      if (reads.fresh(request.space, request.key) >= 0) this.#filled++
      this.#options.onProgress?.(this.#refilled)
    }
  }

  #take(): Request | undefined {
    return this.#isStopped ? undefined : this.#requests[this.#next++]
  }

  get #isStopped(): boolean {
    return this.#core.reads.isClosed || this.#options.signal?.aborted === true
  }

  async #turn(): Promise<void> {
    const { clock } = this.#core
    const now = clock.now()
    const at = Math.max(this.#turnAt, now)
    this.#turnAt = at + this.#everyMs
    if (at <= now) return
    await new Promise<void>((resolve) => {
      const turn = clock.after(at - now, () => end())
      const end = (): void => {
        turn.cancel()
        this.#waits.delete(end)
        resolve()
      }
      this.#waits.add(end)
    })
  }

  #wake(): void {
    for (const end of this.#waits) end()
  }
}

function checkOptions(options: RefillOptions): void {
  namesOf(options, ['perSecond', 'concurrency', 'signal', 'onProgress'], 'run()')
  const { perSecond, concurrency } = options
  if (perSecond !== undefined && !(perSecond > 0 && Number.isFinite(perSecond)))
    throw new OptionError('run({ perSecond }) must be a number above 0.')
  if (concurrency !== undefined && !(Number.isSafeInteger(concurrency) && concurrency >= 1 && concurrency <= 100))
    throw new OptionError('run({ concurrency }) must be a whole number from 1 to 100.')
}
