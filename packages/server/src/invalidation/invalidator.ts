import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Journal } from '@tidemark/postgres'
import {
  BehindError,
  type By,
  type Cache,
  type Clock,
  isByPart,
  type Mode,
  type Pattern,
  type Preview,
  parsePosition,
  type Refilled,
  type RefillPlan,
} from 'tidemark'
import { type Acknowledgements, type Acknowledging, hasReached } from '../cluster/acknowledgements.js'
import type { Cluster } from '../cluster/cluster.js'
import { UnknownRequestError } from '../errors.js'
import { type Effect, Effects } from './effects.js'
import { isWide, MATCHED_MAX, type Naming, type Reach, reachOf, type Wide } from './reach.js'
import { fingerprintOf, Remembered, type RememberedLimits } from './remembered.js'
import type { SharedMemory } from './shared-memory.js'
import { Tally } from './tally.js'

export interface InvalidatorOptions extends RememberedLimits {
  readonly cache: Cache
  readonly clock: Clock
  /** There is a tier that processes share. */
  readonly hasL2: boolean
  /** How long an answer waits until this process has applied what it asked for. */
  readonly appliedMaxMs: number
  /** How long an answer waits for the other processes and for L2, where that is asked for. */
  readonly acksMaxMs: number
  readonly cluster: Pick<Cluster, 'processes'>
  readonly acknowledging?: Acknowledging | undefined
  /** What all processes know of requests' ids. Default: each knows its own. */
  readonly shared?: SharedMemory | undefined
  /** Hears of each refill that was asked for, and of what L2 had, once, when that is done. */
  readonly journal?: Pick<Journal, 'effect' | 'refilled'> | undefined
}

/** Somebody's request, checked. */
export interface Asked extends Naming {
  readonly tenant: string
  readonly mode: Mode
  readonly isLocal: boolean
  /** What goes is filled again here, the hottest first, at this pace. */
  readonly refill?: { readonly perSecond?: number; readonly concurrency?: number } | undefined
  /** What the client named the request by. */
  readonly requestId?: string | undefined
  readonly by: By
}

/** A process, as the others know it. */
export interface ProcessPlace {
  readonly process: string
  readonly address: string | null
}

/** What would come of a request. */
export interface Forecast extends Omit<Reach, 'wide'>, Pick<Preview, 'dependents' | 'dependentSample' | 'refill'> {
  /** Entries that would go. */
  readonly removed: Outcome['removed']
}

export interface Outcome extends Omit<Reach, 'wide'> {
  readonly requestId: string
  /** Which process made the request. */
  readonly madeBy: ProcessPlace
  readonly mode: Mode
  readonly isLocal: boolean
  /** Entries that went; undefined where that is not known, as of L2 before it has counted. */
  readonly removed: { readonly l1: number | undefined; readonly l2: number | undefined; readonly hasL2: boolean }
  readonly isSweeping: boolean
  /** Where a refill was asked for: how far it is. */
  readonly refill?: RefillProgress | undefined
  /** Undefined if nothing entered the log. */
  readonly position: string | undefined
  /** Wall-clock ms. */
  readonly publishedAt: number
  readonly ms: number
}

/** A refill: what it takes, and what is done of it by now. */
export interface RefillProgress extends Pick<RefillPlan, 'loads' | 'sourceMs' | 'unmeasured' | 'unknown'>, Refilled {
  readonly isRunning: boolean
}

const L2_LOOK_MS = 5

/** Where a pattern matches more, its answer does not wait until all of them are out of memory: for readers they are gone already. */
const AWAITED_MAX = 5_000

/** Takes requests to invalidate to the cache, and says what came of them. The same for all their forms. */
export class Invalidator {
  readonly tally = new Tally()
  readonly #options: InvalidatorOptions
  readonly #effects: Effects
  readonly #remembered: Remembered<Outcome>
  /** Requests that nobody can repeat, for those who page through what they matched: many of them forget none that has a name. */
  readonly #unnamed: Remembered<Outcome>

  readonly #closing = new AbortController()
  readonly #refilling = new Set<Promise<void>>()
  readonly #counting = new WeakMap<Outcome, Promise<void>>()

  constructor(options: InvalidatorOptions) {
    this.#options = options
    // Each refill hears of it.
    setMaxListeners(0, this.#closing.signal)
    this.#effects = new Effects(options.cache, options.clock)
    this.#remembered = new Remembered(options, options.clock, sizeOf)
    this.#unnamed = new Remembered(options, options.clock, sizeOf)
  }

  /**
   * Invalidates, once for each request id.
   *
   * @throws ReusedRequestIdError, TooManyRequestsError; PatternError; SourceDownError if the log can't be written: then nothing changed
   */
  async ask(asked: Asked): Promise<Outcome> {
    const { requestId = randomUUID(), by, ...body } = asked
    try {
      const isNamed = asked.requestId !== undefined
      let isElsewhere = false
      const run = async () => {
        const { shared } = this.#options
        if (!isNamed || !shared || asked.isLocal) return this.#run({ ...asked, requestId })
        const name = { tenant: asked.tenant, id: requestId }
        const [outcome, isNew] = await shared.once(name, fingerprintOf(body), () => this.#run({ ...asked, requestId }))
        isElsewhere = !isNew
        return outcome
      }
      const remembered = isNamed ? this.#remembered : this.#unnamed
      const [outcome, isNew] = await remembered.once(asked.tenant, requestId, body, run)
      if (!isNew || isElsewhere) this.tally.repeated++
      return outcome
    } catch (error) {
      this.tally.failed++
      throw error
    }
  }

  /** Gives up refills that are under way, and has what they did recorded. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#refilling)
  }

  /** What a request would do. */
  async preview(asked: Asked, signal: AbortSignal): Promise<Forecast> {
    this.tally.dryRuns++
    const { wide, ...reach } = await reachOf(this.#view(asked.tenant), asked, signal)
    const { keys } = reach
    const preview = await this.#view(asked.tenant).preview({ keys, ...wide, sampleMax: MATCHED_MAX, signal })
    const { count, dependents, dependentSample, refill } = preview
    const hasL2 = this.#options.hasL2 && !asked.isLocal
    return { ...reach, dependents, dependentSample, refill, removed: { l1: count + dependents, l2: undefined, hasL2 } }
  }

  /** What came of a request. @throws UnknownRequestError if it is not known here, or not any more */
  async find(tenant: string, requestId: string): Promise<Outcome> {
    const outcome =
      (await this.#remembered.find(tenant, requestId)) ??
      (await this.#unnamed.find(tenant, requestId)) ??
      (await this.#options.shared?.find({ tenant, id: requestId }))
    if (!outcome) throw new UnknownRequestError()
    return outcome
  }

  /** This process, as the others know it. */
  get self(): ProcessPlace {
    const { id: process, address } = this.#options.cluster.processes()[0]!
    return { process, address }
  }

  /** Whether this process has applied a position. */
  hasApplied(position: string): boolean {
    return hasReached(this.#options.cache.status().tidemark, position)
  }

  /** Who else has applied a position by now, or within the bound. */
  async acknowledgements(position: string): Promise<Acknowledgements & { readonly isInL2: boolean | undefined }> {
    const { acknowledging, hasL2 } = this.#options
    const [others, isInL2] = await Promise.all([
      acknowledging?.of(position) ?? { acknowledged: [], silent: [] },
      hasL2 ? this.#isInL2(position) : undefined,
    ])
    return { ...others, isInL2 }
  }

  /** Whether L2 has applied a position: waited for, as it is told behind the answer. */
  async #isInL2(position: string): Promise<boolean> {
    const { cache, clock, acksMaxMs } = this.#options
    const end = clock.now() + acksMaxMs
    for (;;) {
      if (hasReached(cache.status().l2, position)) return true
      if (clock.now() > end) return false
      await new Promise<void>((resolve) => clock.after(L2_LOOK_MS, resolve))
    }
  }

  async #run(asked: Asked & { readonly requestId: string }): Promise<Outcome> {
    const { clock, hasL2 } = this.#options
    const { mode, isLocal, requestId } = asked
    const view = this.#view(asked.tenant)
    const began = clock.now()
    const { keys, wide, matched, count } = await reachOf(view, asked)
    const isNamed = keys.length > 0 || isWide(wide)
    const plan = asked.refill && isNamed && !isLocal ? await view.planRefill({ keys, ...wide }) : undefined
    const done: Effect & { readonly position: string | undefined } = isLocal
      ? { removed: await view.evict({ keys, ...wide }), isSweeping: false, position: undefined }
      : await this.#publish({ ...asked, keys, wide }, count <= AWAITED_MAX)
    const publishedAt = clock.wall()
    const ms = clock.now() - began
    if (isLocal) this.tally.local++
    else this.tally.done(asked.pattern === undefined ? 'keys' : 'pattern', count, done.removed ?? 0, ms, publishedAt)
    const outcome: Outcome = {
      requestId,
      madeBy: this.self,
      mode,
      isLocal,
      keys,
      matched,
      count,
      removed: { l1: done.removed, l2: undefined, hasL2: hasL2 && !isLocal },
      isSweeping: done.isSweeping,
      position: done.position,
      publishedAt,
      ms,
    }
    if (hasL2 && outcome.position !== undefined && mode === 'drop' && !isWide(wide)) {
      const counting = this.#countInL2(asked, outcome, outcome.position)
      this.#counting.set(outcome, counting)
    }
    if (plan) {
      const refilling = this.#refill(asked, outcome, plan).finally(() => this.#refilling.delete(refilling))
      this.#refilling.add(refilling)
    }
    void done.ended?.then((effect) => {
      this.#ended(outcome, effect)
      this.#options.shared?.store({ tenant: asked.tenant, id: requestId }, outcome)
    })
    return outcome
  }

  /** Resolves when L2 has counted what went from it, where it does. */
  async counted(outcome: Outcome): Promise<void> {
    await this.#counting.get(outcome)
  }

  /** Behind the answer, unless somebody waits for it: of keys, whose entries L2 can find. */
  async #countInL2(
    { tenant, mode }: Asked & { readonly requestId: string },
    outcome: Outcome,
    position: string,
  ): Promise<void> {
    const { clock, shared, journal } = this.#options
    const began = clock.now()
    const l2 = await this.#view(tenant).removeFromL2(outcome.keys, position)
    if (l2 === undefined) return
    Object.assign(outcome, { removed: { ...outcome.removed, l2 } })
    shared?.store({ tenant, id: outcome.requestId }, outcome)
    if (l2 === 0) return
    const { epoch = '', lsn } = parsePosition(position)
    const ms = outcome.ms + clock.now() - began
    journal?.effect({ epoch, lsn, committedAt: outcome.publishedAt, tenant, mode, touched: { l2 }, ms })
  }

  /** Behind the answer: whoever asks what came of the request is told how far it is, and the journal what came of it. */
  async #refill(
    { tenant, refill, by, requestId }: Asked & { readonly requestId: string },
    outcome: Outcome,
    plan: RefillPlan,
  ): Promise<void> {
    const { clock, shared, journal } = this.#options
    const { signal } = this.#closing
    const { loads, sourceMs, unmeasured, unknown } = plan
    const [beganAt, began] = [clock.wall(), clock.now()]
    const told = (done: Refilled, isRunning: boolean): void => {
      Object.assign(outcome, { refill: { loads, sourceMs, unmeasured, unknown, ...done, isRunning } })
    }
    told({ filled: 0, failed: 0 }, true)
    const done = await plan.run({ ...refill, signal, onProgress: (done) => told(done, true) })
    told(done, false)
    shared?.store({ tenant, id: outcome.requestId }, outcome)
    if (outcome.position === undefined) return
    const isGivenUp = signal.aborted && done.filled + done.failed < loads
    const { position } = outcome
    journal?.refilled({
      tenant,
      position,
      by: { ...by, requestId },
      beganAt,
      ms: clock.now() - began,
      loads,
      ...done,
      isGivenUp,
    })
  }

  /** Who asks again what came of it is told all of it. */
  #ended(outcome: Outcome, { removed, isSweeping }: Effect): void {
    this.tally.removed += Math.max(0, (removed ?? 0) - (outcome.removed.l1 ?? 0))
    Object.assign(outcome, { removed: { ...outcome.removed, l1: removed }, isSweeping })
  }

  /** Into the log, and through it; also where of the keys that were given the pattern holds for none. */
  async #publish(
    { tenant, keys, wide, mode, by, requestId, pattern, among }: Asked & { keys: readonly string[]; wide: Wide },
    isAwaited: boolean,
  ): Promise<Effect & { readonly position: string | undefined }> {
    const { clock, appliedMaxMs } = this.#options
    const view = this.#view(tenant)
    const foundBy = among === undefined ? undefined : textOf(pattern)
    const who = {
      ...by,
      ...(requestId === undefined ? {} : { requestId }),
      ...(isByPart('pattern', foundBy) ? { pattern: foundBy } : {}),
    }
    const published = this.#effects.of(
      () => view.invalidate({ keys, ...wide, allowNothing: among !== undefined, mode, by: who }),
      isAwaited,
    )
    let late: { cancel(): void } | undefined
    const bound = new Promise<never>((_, reject) => {
      late = clock.after(appliedMaxMs, () =>
        reject(
          new BehindError(
            `This process has not applied the invalidation within ${appliedMaxMs} ms. It may be in the log all the same: ask again, with the same request id.`,
          ),
        ),
      )
    })
    // Asked again, it is invalidated again: which is never wrong.
    published.catch(() => undefined)
    return Promise.race([published, bound]).finally(() => late?.cancel())
  }

  #view(tenant: string): Cache {
    return this.#options.cache.tenant(tenant)
  }
}

function textOf(pattern: Pattern | undefined): string | undefined {
  return typeof pattern === 'object' ? pattern.regex : pattern
}

function sizeOf({ keys, matched }: Outcome): number {
  let size = 500
  for (const key of keys) size += 2 * key.length + 16
  if (matched !== keys) for (const key of matched) size += 2 * key.length + 16
  return size
}
