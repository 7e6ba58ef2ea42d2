import type { Clock } from '../clock.js'
import { type Matcher, matcherOf, reachOfKey } from '../dependencies/pattern.js'
import type { Mode } from '../log/change.js'
import type { Keyspaces } from '../read/keyspaces.js'
import type { SlotSet } from '../tiers/slot-set.js'
import { Turns } from '../turns.js'
import { reachedBy, type WideTarget } from './reached.js'
import { type TouchContext, Touches } from './touches.js'

export interface SweepLimits {
  /** How many steps one slice may take. */
  readonly sliceSteps: number
  /** How many keys one step looks at; the clock is looked at between steps. */
  readonly stepKeys: number
  /** How many sweeps may be in progress; what comes then counts for its whole tenant. */
  readonly sweepsMax: number
  /** How many entries a commit touches at once; what is beyond is swept. */
  readonly touchedMax: number
  /** A tenant's space with so many entries is parted from them at once. */
  readonly partedMin: number
}

export interface SweepContext extends TouchContext {
  readonly spaces: Keyspaces
  readonly clock: Clock
  positionAt(lsn: number): string
}

/** Entries that a commit was found to touch, too many for one go. */
interface Gathered {
  readonly kind: 'gathered'
  readonly slots: SlotSet
}

type Swept = WideTarget | Gathered

/** A target at work: what it names is stale as of `lsn`, whether or not the sweep has come to it. */
interface Sweep {
  readonly target: Swept
  /** Of a pattern. */
  readonly matcher: Matcher | undefined
  readonly lsn: number
  readonly mode: Mode
  /** When it was applied (monotonic ms). */
  readonly at: number
  readonly touches: Touches
  readonly steps: Generator<unknown>
  /** Its commit was told to observers before it ended. */
  isLate: boolean
}

/** The first slice has so many steps: a pattern of few keys is worked off with its commit, and told of together with it. */
const FIRST_STEPS = 32
/** But not if they take so long. */
const FIRST_MS = 5

/** Beyond so many in progress their end is hastened: each read judges what it finds by all of them, and their number is limited. */
const LEISURE_MAX = 4

/**
 * Patterns, tenants and everything: targets that may name more entries than can be looked at in one go; and the entries of a tag, a key
 * or a row that so many have. They hold from the moment at which they are applied, and are worked off in slices:
 *   1 log    applies `user:*`; tidemark = c
 *   2 sweep  a first slice, at once; the next ones when the event loop has done what waits
 *   3 read   of user:7 finds an entry from before c: the sweep judges it first, though it has not come to it
 *   4 fill   of user:8 that began before c is judged by the fence, as with any change; what is stored after c is none of the sweep's
 * So the position of an entry decides, never how far the sweep is.
 */
export class Sweeps {
  readonly #context: SweepContext
  readonly #limits: SweepLimits
  #pending: Sweep[] = []
  readonly #turns: Turns
  /** Its next slice waits for its turn. */
  #turn: { cancel(): void } | undefined

  constructor(context: SweepContext, limits: SweepLimits) {
    this.#context = context
    this.#limits = limits
    this.#turns = Turns.of(context.clock)
  }

  get pending(): number {
    return this.#pending.length
  }

  /** How many of one commit are in progress. */
  pendingAt(lsn: number): number {
    return this.#pending.reduce((count, each) => count + (each.lsn === lsn ? 1 : 0), 0)
  }

  /**
   * Applies a target: when this returns, no read finds what it names. Returns what the first slice touched.
   *
   * @param touches  what was touched before, and is told of together with what the sweep touches
   */
  begin(target: Swept, lsn: number, asked: Mode, touches = new Touches(this.#context, lsn)): Touches {
    const { clock, counters } = this.#context
    const widened = this.#bounded(target)
    const mode = widened === target ? asked : 'drop'
    if (widened !== target) counters.coarse.sweeps = (counters.coarse.sweeps ?? 0) + 1
    const at = clock.now()
    const matcher = widened.kind === 'pattern' ? matcherOf(widened) : undefined
    const steps = this.#steps(() => sweep)
    const sweep: Sweep = { target: widened, matcher, lsn, mode, at, touches, steps, isLate: false }
    // What a wider one drops, the narrower ones before it need not look for.
    if (mode === 'drop')
      for (const each of this.#pending.filter((other) => covers(widened, other.target))) this.#end(each)
    if (mode === 'drop' && (widened.kind === 'tenant' || widened.kind === 'everything'))
      this.#part(widened.kind === 'tenant' ? widened.tenant : undefined, lsn)
    this.#pending.push(sweep)
    this.#context.l1.judge = (slot) => this.#judge(slot)
    if (!this.#turn) {
      this.#turns.begin()
      this.#run(FIRST_STEPS)
    }
    if (this.#pending.includes(sweep)) sweep.isLate = true
    return touches
  }

  /** Whether an entry was gathered before, for what this mode does or more. */
  isGathered(slot: number, mode: Mode): boolean {
    return this.#pending.some(
      (sweep) =>
        sweep.target.kind === 'gathered' &&
        (sweep.mode === 'drop' || sweep.mode === mode) &&
        this.#context.l1.lsnOf(slot) < sweep.lsn &&
        sweep.target.slots.has(slot),
    )
  }

  get touchedMax(): number {
    return this.#limits.touchedMax
  }

  /** What a sweep in progress does to the entry when it comes to it; undefined: nothing. */
  modeOf(slot: number): Mode | undefined {
    const naming = this.#naming(slot)
    return naming.some(({ mode }) => mode === 'drop') ? 'drop' : naming[0]?.mode
  }

  /** Ends all, without doing what is left: the entries are gone. */
  clear(): void {
    this.#pending = []
    this.#turn?.cancel()
    this.#turn = undefined
    this.#context.l1.judge = undefined
  }

  // ── slices ─────────────────────────────────────────────────────────────────────────────────────────────

  /** @param stepsMin  what is done by then is done at once, unless that takes long */
  #run(stepsMin: number): void {
    const { clock } = this.#context
    const until = clock.now() + FIRST_MS
    let steps = 0
    for (let sweep = this.#pending[0]; sweep; sweep = this.#pending[0]) {
      if (sweep.steps.next().done) this.#end(sweep)
      if (++steps >= this.#limits.sliceSteps) break
      if (this.#turns.isOver && (steps >= stepsMin || clock.now() >= until)) break
    }
    if (this.#pending.length === 0) return
    this.#turn = this.#turns.wait(
      () => {
        this.#turn = undefined
        this.#run(0)
      },
      this.#pending.length > LEISURE_MAX ? 'sweep' : 'leisure',
    )
  }

  *#steps(own: () => Sweep): Generator<unknown> {
    const { l1, spaces, counters } = this.#context
    const sweep = own()
    // Who watches is not made to wait.
    for (const space of spaces.all()) {
      yield
      for (const key of space.watches.keys()) {
        for (const slot of l1.formersOf(space, key)) this.#touch(sweep, slot)
        yield l1.find(space, key)
      }
    }
    if (sweep.target.kind === 'gathered') {
      for (const slot of sweep.target.slots) yield this.#touch(sweep, slot)
      return
    }
    for (const { entries, dependencies, coarse } of reachedBy(l1, spaces, sweep.target, this.#limits.stepKeys)) {
      if (coarse > 0) counters.coarse.pattern = (counters.coarse.pattern ?? 0) + coarse
      for (const slot of entries) this.#touch(sweep, slot)
      for (const id of dependencies) l1.index.entriesOf(id, (slot) => this.#touch(sweep, slot))
      yield
    }
  }

  #end(sweep: Sweep): void {
    const { observers, clock, l1 } = this.#context
    this.#pending = this.#pending.filter((other) => other !== sweep)
    if (this.#pending.length === 0) l1.judge = undefined
    if (!sweep.isLate || !observers.hears('swept')) return
    observers.emit('swept', {
      position: this.#context.positionAt(sweep.lsn),
      touched: sweep.touches.count,
      entries: sweep.touches.named,
      mode: sweep.mode,
      ms: clock.now() - sweep.at,
    })
  }

  // ── entries ────────────────────────────────────────────────────────────────────────────────────────────

  /** A read is about to find the entry. */
  #judge(slot: number): void {
    if (!sweepRules.isJudgedWhenRead()) return
    for (const sweep of this.#naming(slot)) if (this.#context.l1.holds(slot)) this.#touch(sweep, slot)
  }

  /** The sweeps that make the entry stale, by its own key or by one that it depends on. */
  #naming(slot: number): Sweep[] {
    const { l1, counters } = this.#context
    if (this.#pending.length === 0) return []
    const lsn = l1.lsnOf(slot)
    const sweeps = this.#pending.filter((sweep) => lsn < sweep.lsn)
    if (sweeps.length === 0) return sweeps
    const { tenant, text } = l1.spaceOf(slot)
    const keys = [{ tenant, key: text(l1.keyOf(slot)) }]
    for (const dependency of l1.dependenciesOf(slot)) if (dependency.kind === 'key') keys.push(dependency)
    // One match is bounded; a reader must not wait for a thousand of them: what is beyond counts as named.
    let effort = 0
    return sweeps.filter(({ target, matcher }) => {
      // Another entry that has the slot since is of a later position.
      if (target.kind === 'gathered') return target.slots.has(slot)
      return keys.some((each) => {
        if (target.kind !== 'pattern' || !matcher) return reachOfKey(target, each.tenant, each.key) !== 'none'
        if (target.tenant !== each.tenant) return false
        effort += matcher.effort(each.key)
        if (effort <= 1) return matcher.reach(each.key) !== 'none'
        counters.coarse.pattern = (counters.coarse.pattern ?? 0) + 1
        return true
      })
    })
  }

  #touch({ lsn, mode, at, touches }: Sweep, slot: number): void {
    const { l1 } = this.#context
    // What was stored since was computed or judged with the change in view.
    if (!l1.holds(slot) || l1.lsnOf(slot) >= lsn) return
    if (mode === 'expire' && l1.expiresAtOf(slot) <= at) return
    touches.touch(slot, mode, at)
  }

  /** All of the tenant (or all there is) is stale: what would be in the way when its entries leave goes before them, at once. */
  #part(tenant: string | undefined, lsn: number): void {
    const { l1, spaces } = this.#context
    l1.forsake(tenant)
    // An entry as of a later position stays, and must be found.
    if (l1.latest >= lsn) return
    for (const space of tenant === undefined ? spaces.all() : spaces.of(tenant))
      if (space.slots.size >= this.#limits.partedMin) l1.part(space)
  }

  // ── limits ─────────────────────────────────────────────────────────────────────────────────────────────

  #bounded(target: Swept): Swept {
    if (this.#pending.length < this.#limits.sweepsMax || target.kind === 'everything') return target
    if (target.kind === 'tenant' || target.kind === 'gathered' || this.#pending.length >= 2 * this.#limits.sweepsMax)
      return { kind: 'everything' }
    return { kind: 'tenant', tenant: target.tenant }
  }
}

/** As a function, so that the simulation can plant the bug of leaving it out. */
export const sweepRules = {
  /** What a sweep in progress names is stale for a reader before the sweep has come to it. */
  isJudgedWhenRead(): boolean {
    return true
  },
}

/** Whether what `narrow` names is among what `wide` names, whatever the pattern. */
function covers(wide: Swept, narrow: Swept): boolean {
  if (wide.kind === 'everything') return true
  if (wide.kind !== 'tenant' || narrow.kind === 'everything' || narrow.kind === 'gathered') return false
  return narrow.tenant === wide.tenant
}
