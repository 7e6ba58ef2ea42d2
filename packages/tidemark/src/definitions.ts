import type { Answer } from './answer.js'
import type { Core } from './core.js'
import type { CallOptions, Definition, EntryOptions } from './definition.js'
import { DefinedError, OptionError } from './errors.js'
import { slotKey } from './keys.js'
import { CALL_OPTIONS, ENTRY_OPTIONS, namesOf, type Policy, policyOf } from './options.js'
import { type AnyManyLoader, Batches } from './read/batch.js'
import { currentFill } from './read/current.js'
import type { AnyLoader } from './read/flight.js'
import type { Keyspace } from './read/keyspace.js'
import type { ManyWanted } from './read/many.js'
import { Request } from './read/request.js'
import type { Session } from './source.js'
import { valuesOf } from './streams/watch.js'
import type { SlotKey } from './tiers/space.js'

const NAME_FORM = /^[^\s()\u0000-\u001f][^()\u0000-\u001f]{0,255}$/

/** In whose name a definition is called. */
export interface Place {
  readonly tenant: string
  readonly session: Session | undefined
  /** The user chose it; otherwise a call inside a loader takes over the loader's tenant and session. */
  readonly isChosen: boolean
}

interface Defined {
  readonly name: string
  readonly load: AnyLoader
  readonly policy: Policy
  readonly loadMany: AnyManyLoader | undefined
}

type DefinitionOptions = EntryOptions & { readonly loadMany?: unknown }
type AnyDefinition = Definition<readonly unknown[], unknown>

/** The definitions of a cache, and the functions that users call. */
export class Definitions {
  readonly #core: Core
  readonly #defaults: EntryOptions
  readonly #names = new Map<string, Defined>()
  readonly #defined = new WeakMap<object, Defined>()
  readonly #unfollowedTtlMs: number
  readonly #defaultPolicy: Policy
  #lastOptions: EntryOptions | undefined
  #lastPolicy: Policy

  /** @param defaultPolicy  the checked form of `defaults` */
  constructor(core: Core, defaults: EntryOptions, defaultPolicy: Policy, unfollowedTtlMs: number) {
    this.#core = core
    this.#defaults = defaults
    this.#unfollowedTtlMs = unfollowedTtlMs
    this.#defaultPolicy = defaultPolicy
    this.#lastPolicy = this.#defaultPolicy
  }

  define(name: string, load: AnyLoader, { loadMany, ...options }: DefinitionOptions, place: Place): AnyDefinition {
    if (typeof name !== 'string' || !NAME_FORM.test(name)) {
      throw new OptionError(
        'A definition needs a name of 1 to 256 characters without parentheses, control characters or leading space.',
      )
    }
    if (typeof load !== 'function')
      throw new OptionError(`The definition '${name}' needs a loader: a function of (context, ...arguments).`)
    if (this.#names.has(name))
      throw new DefinedError(`This cache has a definition '${name}' already: their keys would mix. Use another name.`)
    namesOf(options, ENTRY_OPTIONS, `the definition '${name}'`)
    if (loadMany !== undefined && typeof loadMany !== 'function')
      throw new OptionError(`loadMany of the definition '${name}' is a function of (context, asked).`)
    const own = this.policy(options)
    // Another text of either is another definition.
    const policy = loadMany ? { ...own, version: `${own.version}\0${String(loadMany)}` } : own
    const defined = { name, load, policy, loadMany: loadMany as AnyManyLoader | undefined }
    this.#names.set(name, defined)
    return this.#callable(defined, place, undefined)
  }

  /** How an entry of a definition is loaded; undefined for what only its readers can load. */
  request(space: Keyspace, key: SlotKey, args: readonly unknown[]): Request | undefined {
    const defined = space.name === undefined ? undefined : this.#names.get(space.name)
    return defined && new Request(space, key, defined.load, args, defined.policy, undefined)
  }

  bind(definition: object, place: Place): AnyDefinition {
    const defined = this.#defined.get(definition)
    if (!defined) throw new OptionError('in() takes a definition of the same cache.')
    return this.#callable(defined, place, undefined)
  }

  /** The checked form of entry options. Callers that pass the same object again pay one comparison. */
  policy(options: EntryOptions | undefined): Policy {
    if (options === undefined) return this.#defaultPolicy
    if (options !== this.#lastOptions || !Object.isFrozen(options)) {
      this.#lastPolicy = policyOf({ ...this.#defaults, ...options }, this.#unfollowedTtlMs)
      this.#lastOptions = options
    }
    return this.#lastPolicy
  }

  /** The function that users call: a hit makes one promise, and looks at nothing that a hit does not need. */
  #callable(defined: Defined, place: Place, call: CallOptions | undefined): AnyDefinition {
    const core = this.#core
    const { reads, l1, counters } = core
    let own: Keyspace = core.spaces.get(place.tenant, defined.name, place.session)
    // A keyspace that stood empty for long may have been forgotten, and another made in its place.
    const kept = (): Keyspace => {
      if (own.id === -1) own = core.spaces.get(place.tenant, defined.name, place.session)
      return own
    }
    const home = (): Keyspace => {
      const fill = place.isChosen ? undefined : currentFill()
      return fill ? core.spaces.get(fill.tenant, defined.name, fill.session) : kept()
    }
    const request = (args: readonly unknown[]): Request => {
      return new Request(home(), slotKey(args), defined.load, args, defined.policy, call)
    }
    const many = (asked: readonly unknown[]): ManyWanted => {
      if (!Array.isArray(asked)) throw new OptionError(`many() of '${defined.name}' takes an array of its argument.`)
      const { load, loadMany, policy } = defined
      const space = home()
      const batch = loadMany && new Batches({ keeper: core, space, policy, loadMany })
      return { space, keys: asked.map((each) => slotKey([each])), asked, load, batch, policy, call }
    }
    const isPlain = call?.minPosition === undefined && !call?.shows && defined.policy.earlyRefresh === 0

    const definition = (...args: readonly unknown[]): Promise<unknown> => {
      try {
        if (isPlain && currentFill() === undefined) {
          const slot = reads.fresh(own, slotKey(args))
          if (slot >= 0) {
            counters.hits++
            return Promise.resolve(l1.read(slot))
          }
        }
        return reads.value(request(args))
      } catch (error) {
        // An argument that no key can hold.
        return Promise.reject(error)
      }
    }
    Object.defineProperty(definition, 'name', { value: defined.name })
    const ways: AnyDefinition = Object.assign(definition, {
      ask: async (...args: readonly unknown[]): Promise<Answer<unknown>> => {
        const asked = request(args)
        return (isPlain ? reads.hit(asked) : undefined) ?? reads.ask(asked)
      },
      many: async (asked: readonly unknown[]) => reads.values(many(asked)),
      askMany: async (asked: readonly unknown[]) => reads.answers(many(asked)),
      peek: (...args: readonly unknown[]): unknown => {
        if (call?.minPosition !== undefined && !reads.hasReached(call.minPosition)) {
          currentFill()?.unkept('peeked')
          return undefined
        }
        if (currentFill() === undefined) {
          const slot = reads.fresh(kept(), slotKey(args))
          if (slot < 0) return undefined
          counters.hits++
          return l1.read(slot)
        }
        return reads.peek(home(), slotKey(args))
      },
      watch: (...args: readonly unknown[]) => valuesOf(core.watch(request(args))),
      watchAnswers: (...args: readonly unknown[]) => core.watch(request(args)),
      key: (...args: readonly unknown[]): string => own.text(slotKey(args)),
      with: (options: CallOptions) => this.#callable(defined, place, { ...call, ...checked(options) }),
    })
    this.#defined.set(definition, defined)
    return ways
  }
}

function checked(options: CallOptions): CallOptions {
  namesOf(options, CALL_OPTIONS, 'with()')
  return options
}
