import type { Clock } from '../clock.js'
import type { RingLimits } from '../fence/ring.js'
import { MemoryLog } from '../log/memory.js'
import type { Source } from '../source.js'
import { Follower } from './follower.js'

/** Raised when Follower changes in a way that two copies of this module could not share one. */
const FORM = 1

interface Shared {
  readonly form: number
  readonly follower: Follower
  users: number
}

export interface Acquired {
  readonly follower: Follower
  /** Another copy of this package follows the source in this process, in a form that can't be shared. */
  readonly isSecondCopy: boolean
  /** Ends the log and closes the source, each with its last user. */
  release(): Promise<void>
}

/**
 * The follower of a source: one for each source in a process, so that a second cache on it (hot reload, two copies of this module)
 * never makes a second slot. It stops when its last cache is closed.
 */
export function acquireFollower(source: Source | undefined, clock: Clock, limits: RingLimits): Acquired {
  if (!source) return alone(new Follower(new MemoryLog(), clock, limits))
  const acquired = acquireFollowing(source, clock, limits)
  sources().set(source, (sources().get(source) ?? 0) + 1)
  const release = async (): Promise<void> => {
    const users = sources().get(source)! - 1
    sources().set(source, users)
    await acquired.release()
    if (users === 0) await source.close()
  }
  return { ...acquired, release }
}

function acquireFollowing(source: Source, clock: Clock, limits: RingLimits): Acquired {
  const shared = registry().get(source.id)
  if (shared && shared.form === FORM) {
    shared.users++
    return { follower: shared.follower, isSecondCopy: false, release: () => release(source.id, shared) }
  }
  const log =
    source.openLog() ??
    new MemoryLog('the source is not followed (follow: off); entries leave by expiry and explicit invalidation')
  const follower = new Follower(log, clock, limits)
  if (shared) return { ...alone(follower), isSecondCopy: true }
  const own: Shared = { form: FORM, follower, users: 1 }
  registry().set(source.id, own)
  follower.follow()
  return { follower, isSecondCopy: false, release: () => release(source.id, own) }
}

function alone(follower: Follower): Acquired {
  follower.follow()
  return { follower, isSecondCopy: false, release: () => follower.close() }
}

async function release(id: string, shared: Shared): Promise<void> {
  if (--shared.users > 0) return
  if (registry().get(id) === shared) registry().delete(id)
  await shared.follower.close()
}

/** The followers of this process, by source id: one list for all copies of this module. */
function registry(): Map<string, Shared> {
  return ofProcess('tidemark.followers', () => new Map())
}

/** How many caches use a source. */
function sources(): WeakMap<Source, number> {
  return ofProcess('tidemark.sources', () => new WeakMap())
}

function ofProcess<Held>(name: string, make: () => Held): Held {
  const scope = globalThis as { [name: symbol]: unknown }
  const symbol = Symbol.for(name)
  scope[symbol] ??= make()
  return scope[symbol] as Held
}
