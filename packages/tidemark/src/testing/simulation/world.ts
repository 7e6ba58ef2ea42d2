import type { Answer } from '../../answer.js'
import { Core } from '../../core.js'
import type { CallOptions } from '../../definition.js'
import { Definitions } from '../../definitions.js'
import { BehindError, ClosedError, LoaderTimeoutError, NotWatchableError, SourceDownError } from '../../errors.js'
import { acquireFollower } from '../../follow/registry.js'
import { parsePosition } from '../../log/position.js'
import { policyOf } from '../../options.js'
import { View } from '../../view.js'
import type { Chance } from './chance.js'
import type { Database } from './database.js'
import {
  defineAll,
  keyName,
  type LoaderHooks,
  lifetimeOf,
  loadRaw,
  type Shown,
  type SimCache,
  type SimDefinition,
  tagName,
} from './definitions.js'
import type { Faults } from './faults.js'
import { MAX_SILENCE_MS, type Nature } from './nature.js'
import { type Asked, type Oracle, type Process, Violation } from './oracle.js'
import type { SimClock } from './sim-clock.js'
import { SimL2 } from './sim-l2.js'
import { SimLog } from './sim-log.js'
import { SimMarks } from './sim-marks.js'
import type { SimRelayed } from './sim-relay.js'
import { SimSource } from './sim-source.js'
import type { Wide } from './wide.js'

/** How many go at once, by the size of the slices: so nothing more is drawn. */
const TOUCHED_MAX: Readonly<Record<number, number>> = { 2: 0, 4: 1 }
const [NEVER, WAIT_MAX_MS, PROOF_WAIT_MS] = [Number.POSITIVE_INFINITY, 60, 80]
export const TENANTS = ['default', 'other'] as const

interface RunningLoad {
  readonly name: string
  readonly signal: AbortSignal
}

interface WatchState {
  readonly name: string
  readonly stop: AbortController
  latest: Answer<Shown> | undefined
  isEnded: boolean
}

/** One process with the real cache: how it reaches the source, the log and L2, and what its users do. */
export class World implements LoaderHooks {
  readonly nature: Nature
  /** What tells it from the other processes of the run. */
  readonly name: string
  readonly chance: Chance
  readonly faults: Faults
  readonly clock: SimClock
  readonly database: Database
  readonly oracle: Oracle
  readonly log: SimLog
  /** Where a relay carries the log. */
  readonly relayed: SimRelayed | undefined
  readonly source: SimSource
  /** The version of the program that it runs. */
  readonly program: number
  /** undefined where the run has none. */
  readonly l2: SimL2 | undefined
  readonly core: Core
  readonly views: ReadonlyMap<string, SimCache>
  readonly watches: WatchState[] = []
  readonly #definitions = new Map<string, Record<string, SimDefinition>>()
  #applied: Process = { epoch: undefined, tidemark: 0 }
  readonly #promised = new Map<string, number>()
  readonly #running = new Map<number, RunningLoad>()
  /** Reads and requests that have not ended. */
  readonly pending = new Set<string>()
  isClosed = false
  /** Values that were set and kept. */
  sets = 0
  readonly answers = { fresh: 0, stale: 0, fenced: 0, failed: 0, peeked: 0, watched: 0 }

  constructor(nature: Nature, name: string) {
    this.nature = nature
    this.name = name
    this.chance = nature.chance
    this.faults = nature.faults
    this.clock = nature.clock
    this.database = nature.database
    this.oracle = nature.oracle
    this.l2 = this.faults.hasL2 ? new SimL2(nature.l2, this.chance, this.clock) : undefined
    const marks = this.faults.marks ? new SimMarks(this.database, () => this.clock.now()) : undefined
    this.log = new SimLog(this.database, this.chance, this.faults.skipsRecords, () => this.clock.trueMs, marks)
    nature.logs.push(this.log)
    this.relayed = nature.relayedLog(this.log)
    this.program = this.faults.deploys && nature.logs.length > 1 ? 2 : 1
    this.source = new SimSource(this.log, this.database, this.chance, this.clock, this.relayed)
    if (this.faults.failsLoads) this.source.failure = 0.1
    const { ringMax: changesMax, ringRowsMax: rowsMax, maxEntries } = this.faults
    // As createCache does; the core is held so that the oracle can look into L1.
    this.core = new Core(
      {
        source: this.source,
        l1: { maxEntries, maxBytes: Number.POSITIVE_INFINITY },
        maxSilenceMs: MAX_SILENCE_MS,
        waitMaxMs: WAIT_MAX_MS,
        proofWaitMs: PROOF_WAIT_MS,
        watchMax: 100,
        l2: this.l2,
        version: '',
        ringMax: 1_000,
        patterns: { maxLength: 100, maxCount: 10 },
        sliceSteps: this.faults.sliceSteps,
        stepKeys: 1,
        sweepsMax: this.faults.sweepsMax,
        touchedMax: TOUCHED_MAX[this.faults.sliceSteps] ?? 1_000,
        partedMin: this.faults.sliceSteps,
        clock: this.clock,
      },
      acquireFollower(this.source, undefined, this.clock, { changesMax, rowsMax }),
    )
    const cache: SimCache = new View(this.core, new Definitions(this.core, {}, policyOf({}, NEVER), NEVER))
    this.views = new Map(TENANTS.map((tenant) => [tenant, tenant === 'default' ? cache : cache.tenant(tenant)]))
    const own = defineAll(cache, this)
    for (const [tenant, view] of this.views) {
      const bound = Object.entries(own).map(([name, definition]) => [name, view.in(definition)] as const)
      this.#definitions.set(tenant, tenant === 'default' ? own : Object.fromEntries(bound))
    }
  }

  /** What was applied is applied, wherever the log was taken up since. */
  get process(): Process {
    const { epoch, tidemark } = this.core.follower
    const before = epoch === this.#applied.epoch ? this.#applied.tidemark : 0
    this.#applied = { epoch, tidemark: Math.max(before, tidemark) }
    return this.#applied
  }

  get violation(): Violation | undefined {
    return this.nature.violation
  }

  note(text: () => string): void {
    this.nature.note(() => `${this.name}${text()}`)
  }

  judge(run: () => void): void {
    this.nature.judge(run)
  }

  // ── what loaders tell ──────────────────────────────────────────────────────────────────────────────────

  external(name: string): number {
    return this.database.external(name)
  }

  began(tenant: string, key: string, signal: AbortSignal): number {
    const load = ++this.nature.loads
    const name = `${tenant} ${key}`
    for (const running of this.#running.values()) {
      if (running.name === name && !running.signal.aborted)
        this.judge(() => {
          throw new Violation(`one fill: a second loader of ${name} began while one ran`)
        })
    }
    this.#running.set(load, { name, signal })
    this.note(() => `load ${load} of ${name} begins`)
    return load
  }

  ended(load: number): void {
    this.#running.delete(load)
    this.nature.loadedAt.set(load, this.clock.now())
    this.note(() => `load ${load} ends`)
  }

  endedTogether(loads: readonly number[]): void {
    for (const load of loads) this.nature.loadedAt.set(load, this.clock.now())
  }

  get running(): number {
    return this.#running.size
  }

  // ── what users do ──────────────────────────────────────────────────────────────────────────────────────

  definition(tenant: string, name: string): SimDefinition {
    return this.#definitions.get(tenant)![name]!
  }

  asked(tenant: string, key: string, minPosition?: string, isWatch = false): Asked {
    return {
      tenant,
      key,
      ...this.process,
      minPosition,
      sourceEpoch: this.database.epoch,
      promised: new Map(this.#promised),
      nextLoad: this.nature.loads + 1,
      isWatch,
      program: this.program,
    }
  }

  ask(tenant: string, name: string, id: number, call: CallOptions = {}): Promise<Answer<Shown> | undefined> {
    const definition = this.definition(tenant, name)
    const asked = this.asked(tenant, definition.key(id), call.minPosition)
    const asking = Object.keys(call).length > 0 ? definition.with(call) : definition
    return this.follow(asked, asking.ask(id), call.signal)
  }

  askRaw(tenant: string, key: string): Promise<Answer<Shown> | undefined> {
    const options = { ttl: 300, grace: 200, tags: ['raw'] } as const
    const answer = this.views.get(tenant)!.ask(key, loadRaw(this, key), options)
    return this.follow(this.asked(tenant, key), answer, undefined)
  }

  async follow(
    asked: Asked,
    answering: Promise<Answer<Shown>>,
    signal: AbortSignal | undefined,
  ): Promise<Answer<Shown> | undefined> {
    const number = ++this.nature.asked
    const name = `read ${number} of ${asked.tenant} ${asked.key}${asked.minPosition ? ` at ${asked.minPosition}` : ''}`
    this.note(() => `${name} asked at ${asked.epoch}:${asked.tidemark}`)
    this.pending.add(name)
    try {
      const answer = await answering
      this.answers[answer.state]++
      this.note(() => `${name} gets ${answer.state} load ${answer.value.load} from ${answer.from} as of ${answer.asOf}`)
      this.judge(() => this.oracle.answered(asked, answer, this.process, this.clock.trueMs))
      return answer
    } catch (error) {
      this.answers.failed++
      this.note(() => `${name} fails: ${error}`)
      this.judge(() => this.#mayFail(asked, error, signal, name))
      return undefined
    } finally {
      this.pending.delete(name)
    }
  }

  #mayFail(asked: Asked, error: unknown, signal: AbortSignal | undefined, name: string): void {
    // Pinned entries may leave no room for one more.
    if (error instanceof NotWatchableError && this.faults.maxEntries < 10) return
    if (error instanceof BehindError && asked.minPosition !== undefined) return
    if (error instanceof ClosedError && this.isClosed) return
    if (error instanceof LoaderTimeoutError || error instanceof SourceDownError) return
    if (signal?.aborted && error === signal.reason) return
    if (error instanceof Error && error.message.startsWith('The simulation made')) return
    throw new Violation(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }

  peek(tenant: string, name: string, id: number): void {
    const definition = this.definition(tenant, name)
    const asked = this.asked(tenant, definition.key(id))
    const value = definition.peek(id)
    if (value === undefined) return
    this.answers.peeked++
    this.judge(() => this.oracle.peeked(asked, value, this.process, this.clock.trueMs))
  }

  /** Something outside changes, then somebody says so. */
  async invalidate(
    tenant: string,
    keys: readonly string[],
    tags: readonly string[],
    mode: 'drop' | 'expire',
    wide?: Wide,
  ): Promise<void> {
    const named = [...keys.map((key) => keyName(tenant, key)), ...tags.map((tag) => tagName(tenant, tag))]
    const names = wide ? this.#namesOf(wide, tenant) : named
    const externals = names.map((name) => ({ name, version: this.database.raise(name), mode }))
    const name = `invalidation ${++this.nature.asked} of ${tenant} ${names.join(', ')} (${mode})`
    this.note(() => `${name} asked`)
    this.pending.add(name)
    this.log.announced = externals
    try {
      const view = this.views.get(wide?.asked.all === 'everything' ? TENANTS[0] : tenant)!
      const position = parsePosition(await view.invalidate({ keys, tags, mode, ...wide?.asked }))
      this.note(() => `${name} applied at ${position.epoch}:${position.lsn}`)
      const { epoch, tidemark } = this.process
      if (position.epoch === epoch && position.lsn > tidemark)
        this.judge(() => {
          throw new Violation(`invalidate: ${name} resolved at ${position.lsn}, after the tidemark ${tidemark}`)
        })
      for (const { name, version } of externals)
        this.#promised.set(name, Math.max(version, this.#promised.get(name) ?? 0))
    } catch (error) {
      this.note(() => `${name} fails: ${error}`)
      if (!(error instanceof SourceDownError) && !(error instanceof ClosedError && this.isClosed))
        this.judge(() => {
          throw new Violation(`${name} failed: ${error}`)
        })
    } finally {
      this.pending.delete(name)
    }
  }

  /** All keys of the world that it means, whether anything has them or not. */
  #namesOf({ asked, regex }: Wide, tenant: string): string[] {
    const keys = ['raw', ...Object.values(this.#definitions.get(tenant)!).flatMap((each) => [each.key(1), each.key(2)])]
    const tenants = asked.all === 'everything' ? TENANTS : [tenant]
    return tenants.flatMap((each) => keys.filter((key) => regex.test(key)).map((key) => keyName(each, key)))
  }

  async settle(): Promise<void> {
    const name = `settled() ${++this.nature.asked}`
    const { epoch, end } = this.database
    this.pending.add(name)
    this.note(() => `${name} asked at the source's ${epoch}:${end}`)
    await this.core.follower.caughtUp(new AbortController().signal)
    this.pending.delete(name)
    const now = this.process
    this.note(() => `${name} resolves at ${now.epoch}:${now.tidemark}`)
    this.judge(() => {
      if (!this.isClosed && now.epoch === epoch && this.database.epoch === epoch && now.tidemark < end)
        throw new Violation(`${name} resolved at ${now.tidemark}, before ${end}`)
    })
  }

  async watch(tenant: string, name: string, id: number): Promise<void> {
    const definition = this.definition(tenant, name)
    const key = definition.key(id)
    const stop = new AbortController()
    const state: WatchState = { name: `${tenant} ${key}`, stop, latest: undefined, isEnded: false }
    this.watches.push(state)
    this.note(() => `watch of ${state.name} begins`)
    try {
      const asked = this.asked(tenant, key, undefined, true)
      for await (const answer of definition.with({ signal: stop.signal }).watchAnswers(id)) {
        this.answers.watched++
        this.note(() => `watch of ${state.name} gets ${answer.state} load ${answer.value.load} as of ${answer.asOf}`)
        this.judge(() => this.#watched(state, asked, answer))
        state.latest = answer
      }
    } catch (error) {
      this.note(() => `watch of ${state.name} fails: ${error}`)
      this.judge(() => {
        if (state.latest && !(error instanceof NotWatchableError))
          throw new Violation(`watch of ${state.name}, which had a value, failed: ${error}`)
        this.#mayFail(this.asked(tenant, key), error, undefined, `watch of ${state.name}`)
      })
    } finally {
      state.isEnded = true
    }
  }

  #watched(state: WatchState, asked: Asked, answer: Answer<Shown>): void {
    if (answer.state !== 'fresh') throw new Violation(`watch of ${state.name} sent a ${answer.state} answer`)
    const before = state.latest?.asOf && parsePosition(state.latest.asOf)
    const now = parsePosition(answer.asOf ?? '')
    if (before && before.epoch === now.epoch && now.lsn < before.lsn)
      throw new Violation(`watch of ${state.name} went back from ${before.lsn} to ${now.lsn}`)
    this.oracle.answered(asked, answer, this.process, this.clock.trueMs)
  }

  close(): void {
    this.isClosed = true
    this.note(() => 'close')
    const name = 'close()'
    this.pending.add(name)
    void this.core.close().then(() => this.pending.delete(name))
  }

  // ── what must always hold ──────────────────────────────────────────────────────────────────────────────

  /** Looks at every entry of L1. */
  inspect(): void {
    const { l1, spaces } = this.core
    const process = this.process
    const now = this.clock.now()
    for (const space of spaces.all()) {
      for (const [key, slot] of space.slots) {
        const value = l1.value(slot) as Shown
        this.judge(() => {
          if (value.tenant !== space.tenant || value.key !== space.text(key))
            throw new Violation(`kept: ${value.tenant} ${value.key} is stored as ${space.tenant} ${space.text(key)}`)
          // What a sweep has not yet come to is there, but no read finds it as it is.
          const mode = this.core.sweeps.modeOf(slot)
          if (mode === 'drop') return
          const isFresh = mode === undefined && l1.isFreshAt(slot, now)
          this.oracle.kept(value, isFresh, process)
          if (isFresh) this.#outlivesNone(value, now)
        })
      }
    }
  }

  /** An entry is fresh no longer than what it was computed from. */
  #outlivesNone(outer: Shown, now: number): void {
    for (const inner of outer.inner) {
      if (!inner.value) continue
      const expiresAt = (this.nature.loadedAt.get(inner.value.load) ?? 0) + lifetimeOf(inner.value.key)
      if (now > expiresAt)
        throw new Violation(`nested: ${outer.key} is fresh, its ${inner.value.key} is not since ${expiresAt}`)
      this.#outlivesNone(inner.value, now)
    }
  }
}
