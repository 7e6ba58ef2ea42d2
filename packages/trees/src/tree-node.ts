import type { Sql } from '@tidemark/postgres'
import type { Answer, Cache, CallOptions, Explanation } from 'tidemark'
import type { Path } from './pointer.js'
import type { Counted, Readings } from './readings.js'
import type { Place } from './stored.js'
import { keyOf, type View, type Views, valueOfView } from './view.js'

type Load = (context: { readonly sql: Sql }) => Promise<View | null>

/** A node of a config, and all below it, as readers see it: with what it inherits, and with references followed. */
export class TreeNode {
  readonly key: string
  readonly path: Path
  readonly #place: Place
  readonly #cache: Cache<{ readonly sql: Sql }>
  readonly #readings: Readings
  readonly #views: Views
  /** From its first read on. */
  #counted: Counted | undefined
  #countedLoad: Load | undefined

  /** @internal  use `tree.node()` */
  constructor(place: Place, cache: Cache<{ readonly sql: Sql }>, views: Views, readings: Readings) {
    this.#place = place
    this.#readings = readings
    this.key = keyOf(place)
    this.path = place.path
    this.#cache = cache
    this.#views = views
  }

  /** The value; undefined where there is no such node. The same frozen object for all who read it. */
  get(options?: CallOptions): Promise<unknown> {
    return (this.#cache.get(this.key, this.#count(), options) as Promise<View | null>).then(plainOf)
  }

  /** The value at once, if it is kept here; undefined if not, or if there is no such node. Never loads. */
  peek(): unknown {
    const view = this.#cache.peek(this.key) as View | null | undefined
    return view ? valueOfView(view) : undefined
  }

  /** The view as it is cached, with its state; null where there is no such node. */
  ask(options: CallOptions = {}): Promise<Answer<View | null>> {
    return this.#cache.ask(this.key, this.#count(), options) as Promise<Answer<View | null>>
  }

  /** Counts a read, and returns the loader that counts whether it had to load. */
  #count(): Load {
    this.#counted ??= this.#readings.counterOf(this.#place, this.path)
    this.#countedLoad ??= this.#views.load(this.#place, this.#counted)
    this.#counted.reads++
    this.#counted.lastReadAt = Date.now()
    return this.#countedLoad
  }

  /** Whether it is kept in this process, why, and what it depends on. */
  explain(): Explanation {
    return this.#cache.explain(this.key)
  }

  /** The view now, and again whenever it changed, with each one's position. */
  watchAnswers(options: CallOptions = {}): AsyncIterableIterator<Answer<View | null>> {
    return this.#cache.watchAnswers(this.key, this.#views.load(this.#place), options)
  }

  /** Its value now, and again whenever it changed; undefined while there is no such node. */
  watch(options: CallOptions = {}): AsyncIterableIterator<unknown> {
    const views = this.#cache.watch(this.key, this.#views.load(this.#place), options)
    return {
      next: () => views.next().then(withValue),
      return: () => views.return!().then(withValue),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }
}

function plainOf(view: View | null): unknown {
  return view === null ? undefined : valueOfView(view)
}

function withValue({ done, value }: IteratorResult<View | null>): IteratorResult<unknown> {
  return done ? { done: true, value: undefined } : { done: false, value: plainOf(value) }
}
