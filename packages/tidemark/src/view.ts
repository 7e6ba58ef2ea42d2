import type { Answer } from './answer.js'
import type {
  Cache,
  CacheStatus,
  Counted,
  CountOptions,
  Explanation,
  Found,
  Invalidation,
  KeyPage,
  KeysQuery,
  Named,
  Pattern,
  Preview,
  PreviewOptions,
  RefillPlan,
  SetOptions,
  SetOutcome,
} from './cache.js'
import type { Core } from './core.js'
import { count } from './count.js'
import type { Counters } from './counters.js'
import type { CallOptions, Definition, EntryOptions, Loader, ManyLoader, ManyOptions } from './definition.js'
import type { Definitions } from './definitions.js'
import { reachOfKey } from './dependencies/pattern.js'
import { KeyError, OptionError } from './errors.js'
import type { CacheEvents } from './events.js'
import { explain } from './explain.js'
import { removeFromL2 } from './l2/removed.js'
import { list } from './list.js'
import { nothingIn, type Target } from './log/change.js'
import { evict, preview, SAMPLE_DEFAULT } from './preview.js'
import { type AnyManyLoader, alone, Batches } from './read/batch.js'
import { currentFill } from './read/current.js'
import { find, look } from './read/find.js'
import type { AnyLoader } from './read/flight.js'
import type { Keyspace } from './read/keyspace.js'
import type { ManyWanted } from './read/many.js'
import { Request } from './read/request.js'
import { planRefill } from './refill.js'
import { entryOptionsOf, readLatest, readPosition, set } from './set.js'
import { Slices } from './slices.js'
import type { Session } from './source.js'
import { valuesOf } from './streams/watch.js'
import { byOf, checkCount, checkEvicted, checkPreview, modeOf, targetsOf } from './targets.js'
import type { TenantUse } from './tiers/shares.js'

/** The tenant of a cache until `tenant()` names another. */
const DEFAULT_TENANT = 'default'
const NAME_MAX = 256
const KEY_MAX = 65_536
const NO_ARGUMENTS: readonly unknown[] = []

/** A cache as its users hold it: one tenant's and session's view of a core. */
export class View<Context extends object> implements Cache<Context> {
  readonly #core: Core
  readonly #definitions: Definitions
  readonly #tenant: string
  readonly #session: Session | undefined
  /** Whether the user chose tenant or session: then loaders that call it do not hand down their own. */
  readonly #isChosen: boolean

  #own: Keyspace | undefined

  constructor(core: Core, definitions: Definitions, tenant = DEFAULT_TENANT, session?: Session, isChosen = false) {
    this.#core = core
    this.#definitions = definitions
    this.#tenant = tenant
    this.#session = session
    this.#isChosen = isChosen
  }

  define<Args extends readonly unknown[], Value>(
    name: string,
    load: Loader<Context, Args, Value>,
    options: EntryOptions & ManyOptions<Context, NoInfer<Args>, NoInfer<Value>> = {},
  ): Definition<Args, Value> {
    return this.#definitions.define(name, load as unknown as AnyLoader, options, this.#place) as unknown as Definition<
      Args,
      Value
    >
  }

  in<Args extends readonly unknown[], Value>(definition: Definition<Args, Value>): Definition<Args, Value> {
    return this.#definitions.bind(definition, { ...this.#place, isChosen: true }) as unknown as Definition<Args, Value>
  }

  get<Value>(key: string, load: Loader<Context, [], Value>, options?: EntryOptions & CallOptions): Promise<Value> {
    const { reads, l1 } = this.#core
    try {
      const request = this.#request(key, load as unknown as AnyLoader, options)
      const slot = options?.minPosition === undefined ? reads.hitSlot(request) : -1
      return (slot >= 0 ? Promise.resolve(l1.read(slot)) : reads.value(request)) as Promise<Value>
    } catch (error) {
      // A key or an option that is none.
      return Promise.reject(error)
    }
  }

  async ask<Value>(
    key: string,
    load: Loader<Context, [], Value>,
    options?: EntryOptions & CallOptions,
  ): Promise<Answer<Value>> {
    return this.#core.reads.ask(this.#request(key, load as unknown as AnyLoader, options)) as Promise<Answer<Value>>
  }

  async getMany<Value>(
    keys: readonly string[],
    load: ManyLoader<Context, string, Value | undefined>,
    options?: EntryOptions & CallOptions,
  ): Promise<(Value | undefined)[]> {
    return this.#core.reads.values(this.#many(keys, load, options)) as Promise<(Value | undefined)[]>
  }

  async askMany<Value>(
    keys: readonly string[],
    load: ManyLoader<Context, string, Value | undefined>,
    options?: EntryOptions & CallOptions,
  ): Promise<Answer<Value | undefined>[]> {
    return this.#core.reads.answers(this.#many(keys, load, options)) as Promise<Answer<Value | undefined>[]>
  }

  peek<Value = unknown>(key: string): Value | undefined {
    return this.#core.reads.peek(this.#space(), key) as Value | undefined
  }

  watch<Value>(
    key: string,
    load: Loader<Context, [], Value>,
    options?: EntryOptions & CallOptions,
  ): AsyncIterableIterator<Value> {
    return valuesOf(this.watchAnswers(key, load, options))
  }

  watchAnswers<Value>(
    key: string,
    load: Loader<Context, [], Value>,
    options?: EntryOptions & CallOptions,
  ): AsyncIterableIterator<Answer<Value>> {
    const answers = this.#core.watch(this.#request(key, load as unknown as AnyLoader, options))
    return answers as AsyncIterableIterator<Answer<Value>>
  }

  async invalidate(invalidation: Invalidation): Promise<string> {
    const mode = modeOf(invalidation)
    const targets = this.#targets(invalidation)
    if (targets.length === 0 && invalidation.allowNothing) targets.push(nothingIn(this.#tenant))
    const asked = { targets, mode, by: byOf(invalidation) }
    return this.#core.invalidations.request(asked, invalidation.signal)
  }

  async preview(options: PreviewOptions): Promise<Preview> {
    checkPreview(options)
    const { rows, sampleMax, signal } = options
    return preview(this.#core, { targets: this.#targets(options), rows, tenant: this.#tenant, sampleMax, signal })
  }

  async count(options: CountOptions): Promise<Counted> {
    checkCount(options)
    const { sampleMax = SAMPLE_DEFAULT, signal } = options
    return count(this.#core, { targets: this.#targets(options), tenant: this.#tenant, sampleMax, signal })
  }

  async planRefill(named: Named & { readonly signal?: AbortSignal }): Promise<RefillPlan> {
    checkEvicted(named)
    const wanted = { targets: this.#targets(named), tenant: this.#tenant, signal: named.signal }
    return planRefill(this.#core, this.#definitions, wanted)
  }

  async evict(named: Named & { readonly signal?: AbortSignal }): Promise<number> {
    checkEvicted(named)
    return evict(this.#core, { targets: this.#targets(named), tenant: this.#tenant, signal: named.signal })
  }

  async removeFromL2(keys: readonly string[], position: string): Promise<number | undefined> {
    return removeFromL2(this.#core, this.#definitions, this.#tenant, keys, position)
  }

  async matching(
    pattern: Pattern | readonly Pattern[],
    keys: readonly string[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<string[]> {
    const targets = this.#targets({ pattern, keys }).slice(keys.length)
    const slices = new Slices(this.#core.clock, signal)
    const matching: string[] = []
    for (const key of keys) {
      if (targets.some((target) => reachOfKey(target, this.#tenant, key) !== 'none')) matching.push(key)
      if (slices.isOver) await slices.next()
    }
    return matching
  }

  #targets(named: Named): Target[] {
    if (named.all === 'everything' && this.#tenant !== DEFAULT_TENANT)
      throw new OptionError("all: 'everything' reaches every tenant: ask the cache itself, not a view of one tenant.")
    return targetsOf(named, this.#tenant, this.#core.options.patterns)
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<SetOutcome> {
    const policy = this.#definitions.policy(entryOptionsOf(options))
    return set(this.#core, { space: this.#plain(key), key, value, policy, options, by: byOf(options) })
  }

  async position(
    options: { readonly signal?: AbortSignal; readonly latest?: boolean } = {},
  ): Promise<string | undefined> {
    const { signal, latest = false } = options
    return latest ? readLatest(this.#core, signal) : readPosition(this.#core, signal)
  }

  async find(key: string): Promise<Found | undefined> {
    return find(this.#core, this.#sought(key))
  }

  look(key: string): Found | undefined {
    return look(this.#core, this.#sought(key))
  }

  async keys(query: KeysQuery = {}): Promise<KeyPage> {
    return list(this.#core, this.#tenant, query)
  }

  explain(key: string): Explanation {
    return explain(this.#core, this.#tenant, this.#session, key)
  }

  tenant(tenant: string): Cache<Context> {
    if (typeof tenant !== 'string' || tenant === '' || tenant.length > NAME_MAX || /[\u0000-\u001f]/.test(tenant)) {
      throw new OptionError(
        `A tenant is a non-empty string of at most ${NAME_MAX} characters, without control characters.`,
      )
    }
    return new View(this.#core, this.#definitions, tenant, this.#session, true)
  }

  as(session: Session): Cache<Context> {
    return new View(this.#core, this.#definitions, this.#tenant, checkedSession(session), true)
  }

  on<Name extends keyof CacheEvents>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void {
    return this.#core.observers.on(name, listener)
  }

  get counters(): Readonly<Counters> {
    return this.#core.counters
  }

  status(): CacheStatus {
    const { follower, l1, reads, sweeps, clock, shared } = this.#core
    const silenceMs = follower.currency.silence(clock.now())
    return {
      log: follower.log.status(),
      tidemark: follower.position,
      l2: shared && shared.m > 0 ? follower.positionAt(shared.m) : undefined,
      keeping: follower.isKeeping,
      current: this.#core.isTrusted(clock.now()),
      silenceMs,
      entries: l1.size,
      bytes: l1.bytes,
      ring: follower.ring.changes,
      unproven: follower.unproven,
      watched: this.#core.watched,
      filling: reads.flights.size,
      sweeping: sweeps.pending,
    }
  }

  uses(): readonly TenantUse[] {
    return this.#core.l1.uses
  }

  async settled(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const signal = options.signal ?? new AbortController().signal
    await this.#core.follower.caughtUp(signal)
    await this.#core.doubts.idle(signal)
    await this.#core.reads.idle(signal)
    signal.throwIfAborted()
  }

  close(): Promise<void> {
    return this.#core.close()
  }

  #sought(key: string) {
    return { tenant: this.#tenant, session: this.#session, key, policy: this.#definitions.policy(undefined) }
  }

  get #place() {
    return { tenant: this.#tenant, session: this.#session, isChosen: this.#isChosen }
  }

  /** Where `get` keys are: looked up once, unless a loader's tenant and session count, or the keyspace was forgotten meanwhile. */
  #space(): Keyspace {
    const fill = this.#isChosen ? undefined : currentFill()
    if (fill) return this.#core.spaces.get(fill.tenant, undefined, fill.session)
    if (!this.#own || this.#own.id === -1) this.#own = this.#core.spaces.get(this.#tenant, undefined, this.#session)
    return this.#own
  }

  #plain(key: string): Keyspace {
    this.#check(key)
    return this.#space()
  }

  #check(key: string): void {
    if (typeof key !== 'string' || key.length > KEY_MAX)
      throw new KeyError(`The key of get() and set() is a string of at most ${KEY_MAX} characters.`)
  }

  #many(keys: readonly string[], load: unknown, call: (EntryOptions & CallOptions) | undefined): ManyWanted {
    if (!Array.isArray(keys)) throw new OptionError('getMany() takes an array of keys.')
    if (typeof load !== 'function') throw new OptionError('getMany() needs a loader: a function of (context, keys).')
    for (const key of keys) this.#check(key)
    const loadMany = load as AnyManyLoader
    const space = this.#space()
    const policy = this.#definitions.policy(call)
    const batch = new Batches({ keeper: this.#core, space, policy, loadMany }, loadMany)
    return { space, keys, asked: keys, load: alone(loadMany), batch, policy, call }
  }

  #request(key: string, load: AnyLoader, options: (EntryOptions & CallOptions) | undefined): Request {
    const space = this.#plain(key)
    if (typeof load !== 'function') throw new OptionError('get() needs a loader: a function of (context).')
    return new Request(space, key, load, NO_ARGUMENTS, this.#definitions.policy(options), options)
  }
}

/** A copy that stays as it is: the session is part of keys. @throws OptionError */
function checkedSession(session: Session): Session {
  const isText = (value: unknown): boolean => value === undefined || typeof value === 'string'
  const isPlain = (value: unknown): value is object => typeof value === 'object' && value !== null
  if (
    !isPlain(session) ||
    Object.keys(session).some((name) => name !== 'role' && name !== 'settings' && name !== 'timeZone') ||
    !isText(session.role) ||
    !isText(session.timeZone) ||
    (session.settings !== undefined && !(isPlain(session.settings) && Object.values(session.settings).every(isText)))
  ) {
    throw new OptionError('A session has role and timeZone, which are text, and settings, an object of text.')
  }
  return session.settings ? { ...session, settings: { ...session.settings } } : { ...session }
}
