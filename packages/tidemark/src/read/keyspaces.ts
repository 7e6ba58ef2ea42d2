import type { Session } from '../source.js'
import type { L1 } from '../tiers/l1.js'
import { Keyspace } from './keyspace.js'

/** After this many made since the last look, idle ones are forgotten: tenants come and go. */
const SWEEP_AFTER = 1_024

/** All keyspaces of a cache: by tenant, definition and session. */
export class Keyspaces {
  readonly #l1: L1
  readonly #tenants = new Map<string, Map<string | undefined, Map<string, Keyspace>>>()
  #made = 0

  constructor(l1: L1) {
    this.#l1 = l1
  }

  get(tenant: string, name: string | undefined, session: Session | undefined): Keyspace {
    // Before anything is looked up: what is empty is forgotten with what is idle.
    if (this.#made >= SWEEP_AFTER) this.#sweep()
    let names = this.#tenants.get(tenant)
    if (!names) {
      names = new Map()
      this.#tenants.set(tenant, names)
    }
    let sessions = names.get(name)
    if (!sessions) {
      sessions = new Map()
      names.set(name, sessions)
    }
    const id = sessionText(session)
    let space = sessions.get(id)
    if (!space) {
      this.#made++
      space = new Keyspace(tenant, name, session)
      sessions.set(id, space)
    }
    this.#l1.addSpace(space)
    return space
  }

  /** The keyspace that is there; its session is told by `sessionText`. */
  at(tenant: string, name: string | undefined, session: string): Keyspace | undefined {
    return this.#tenants.get(tenant)?.get(name)?.get(session)
  }

  /** The keyspaces of one definition (undefined: of `get` keys) in a tenant, one for each session. */
  *named(tenant: string, name: string | undefined): Iterable<Keyspace> {
    yield* this.#tenants.get(tenant)?.get(name)?.values() ?? []
  }

  *all(): Iterable<Keyspace> {
    for (const tenant of this.#tenants.keys()) yield* this.of(tenant)
  }

  /** All keyspaces of a tenant. */
  *of(tenant: string): Iterable<Keyspace> {
    for (const sessions of this.#tenants.get(tenant)?.values() ?? []) yield* sessions.values()
  }

  /** Forgets what is idle; a definition that still holds such a space asks for it again by `get`, which adds it anew. */
  #sweep(): void {
    this.#made = 0
    for (const [tenant, names] of this.#tenants) {
      for (const [name, sessions] of names) {
        for (const [id, space] of sessions) {
          if (!space.isIdle) continue
          sessions.delete(id)
          this.#l1.removeSpace(space)
        }
        if (sessions.size === 0) names.delete(name)
      }
      if (names.size === 0) this.#tenants.delete(tenant)
    }
  }
}

/** What tells sessions apart, as text. */
export function sessionText(session: Session | undefined): string {
  if (!session) return ''
  const settings = Object.entries(session.settings ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([session.role ?? null, session.timeZone ?? null, settings])
}
