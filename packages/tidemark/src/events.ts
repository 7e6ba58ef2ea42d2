import type { TidemarkError } from './errors.js'
import type { Mode } from './log/change.js'
import type { NotKept } from './source.js'

/** An entry as events name it. */
export interface EntryName {
  readonly tenant: string
  readonly key: string
}

/** What observers may listen to. Nothing is built for an event that nobody listens to. */
export interface CacheEvents {
  /** A commit was applied. `entries` has at most 100 of the `touched`; `left` were not touched. */
  applied: {
    readonly position: string
    readonly committedAt: number
    /** `table op` pairs with counts, e.g. `public.posts update` → 1; `tag x`, `key y`, `glob z*` and so on for requests. */
    readonly changes: Readonly<Record<string, number>>
    readonly touched: number
    readonly left: number
    readonly entries: readonly EntryName[]
    readonly mode: Mode
    /** How many of its patterns, and of what it names beyond a thousand entries, are not yet worked off, so that `touched` does not count all: `swept` follows for each. */
    readonly sweeping: number
    /** The tenants whose keys, tags or patterns requests named; empty for what only changed rows. */
    readonly tenants: readonly string[]
    /** Whether rows, tables or the catalogue were changed. */
    readonly isOfSource: boolean
  }
  /**
   * Patterns, tenants, and tags or rows that thousands of entries have, may name too many to go through at once. The commit was applied, and no read finds them; this says
   * that the last is gone, `ms` later, and how many they were. `entries` has at most 100.
   */
  swept: {
    readonly position: string
    readonly touched: number
    readonly entries: readonly EntryName[]
    readonly mode: Mode
    readonly ms: number
  }
  /** An entry that a change touched, and that might have changed by it, did not: it is there as before. */
  stayed: EntryName
  /** A fill ended. `notKept` is undefined if its result was kept. */
  filled: EntryName & { readonly ms: number; readonly notKept: NotKept | undefined }
  /** A loader failed; readers got the error, or a stale value. */
  failed: EntryName & { readonly error: unknown }
  /** The log was taken up, first or anew; everything before is forgotten. */
  started: { readonly position: string; readonly emptied: number }
  /** The log goes on where it was lost: nothing was missed, and what is kept stays. */
  resumed: { readonly position: string }
  lost: { readonly reason: TidemarkError }
  /** Something a developer should know once, e.g. that a definition's answers are never kept. */
  notice: { readonly code: string; readonly message: string }
}

type Listeners = { [Name in keyof CacheEvents]?: Set<(event: CacheEvents[Name]) => void> }

/** Who listens to what. Ask `hears` before building an event. */
export class Observers {
  readonly #listeners: Listeners = {}

  hears(name: keyof CacheEvents): boolean {
    return this.#listeners[name] !== undefined
  }

  on<Name extends keyof CacheEvents>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void {
    const listeners: Set<(event: CacheEvents[Name]) => void> = this.#listeners[name] ?? new Set()
    ;(this.#listeners as Record<Name, typeof listeners>)[name] = listeners
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) delete this.#listeners[name]
    }
  }

  /** Calls every listener; one that throws disturbs neither the others nor the cache, and is reported as an uncaught error. */
  emit<Name extends keyof CacheEvents>(name: Name, event: CacheEvents[Name]): void {
    for (const listener of this.#listeners[name] ?? []) {
      try {
        listener(event)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
