import type { Clock } from '../clock.js'
import { OptionError } from '../errors.js'
import type { RingLimits } from '../fence/ring.js'
import type { Log } from '../log/log.js'
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
 * The follower of a source, or of a log that is given beside it: one for each in a process, so that a second cache on it (hot reload, two
 * copies of this module) never makes a second slot. It stops when its last cache is closed.
 *
 * @throws OptionError if the log was closed with an earlier cache
 */
export function acquireFollower(
  source: Source | undefined,
  log: Log | undefined,
  clock: Clock,
  limits: RingLimits,
): Acquired {
  const acquired = log
    ? acquireLog(log, clock, limits)
    : source
      ? acquireFollowing(source, clock, limits)
      : alone(new Follower(new MemoryLog(), clock, limits))
  if (!source) return acquired
  sources().set(source, (sources().get(source) ?? 0) + 1)
  const release = async (): Promise<void> => {
    const users = sources().get(source)! - 1
    sources().set(source, users)
    await acquired.release()
    if (users === 0) await source.close()
  }
  return { ...acquired, release }
}

function acquireLog(log: Log, clock: Clock, limits: RingLimits): Acquired {
  const known = logs().get(log)
  if (known?.users === 0)
    throw new OptionError('The log was closed with an earlier cache. Open a new one for this cache.')
  const shared = known ?? { form: FORM, follower: new Follower(log, clock, limits), users: 0 }
  if (shared.form !== FORM)
    throw new OptionError('The log is followed by another, incompatible copy of tidemark. Open one log for each copy.')
  shared.users++
  if (!known) {
    logs().set(log, shared)
    shared.follower.follow()
  }
  const release = async (): Promise<void> => {
    if (--shared.users === 0) await shared.follower.close()
  }
  return { follower: shared.follower, isSecondCopy: false, release }
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

/** The followers of logs that are no source's own. */
function logs(): WeakMap<Log, Shared> {
  return ofProcess('tidemark.logs', () => new WeakMap())
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
