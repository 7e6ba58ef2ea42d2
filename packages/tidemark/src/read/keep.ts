import type { Clock } from '../clock.js'
import type { Counters } from '../counters.js'
import type { Dependency } from '../dependencies/dependency.js'
import type { About, Doubt } from '../dependencies/lookup.js'
import { missedChanges, type Overtaken } from '../fence/fence.js'
import type { Doubts } from '../follow/doubts.js'
import type { Follower } from '../follow/follower.js'
import type { Shared, SharedTier } from '../l2/shared-tier.js'
import type { Policy } from '../options.js'
import type { NotKept } from '../source.js'
import type { L1 } from '../tiers/l1.js'
import type { SlotKey } from '../tiers/space.js'
import { copyOf, seal } from '../values.js'
import type { Fill } from './fill.js'
import type { Keyspace } from './keyspace.js'
import type { Request } from './request.js'

/** What a flight needs of the cache that it fills. */
export interface Keeper {
  readonly l1: L1
  readonly follower: Follower
  readonly counters: Counters
  readonly clock: Clock
  readonly doubts: Doubts
  /** The tier that processes share, where there is one. */
  readonly shared: SharedTier | undefined
  /** When something was last taken from it, in monotonic ms. */
  sharedAt: number
  /** A source is there, so that an answer without dependencies is one whose reads were missed. */
  readonly hasSource: boolean
  isTrusted(now: number): boolean
  context(fill: Fill): object
  /** What a load of the key waits for, as it would be in vain before: the proof of the change that took the entry. */
  proofOfTaking(space: Keyspace, key: SlotKey): Promise<void> | undefined
  /** Loads what is asked for, once what touched it can be seen. */
  again(request: Request): Promise<unknown>
  filled(space: Keyspace, key: SlotKey, slot: number, ms: number, notKept: NotKept | undefined): void
  failed(space: Keyspace, key: SlotKey, error: unknown): void
  /** Tells a developer something, once for each code and definition. */
  noticeOnce(code: string, space: Keyspace, message: string): void
}

/** The result of a fill, and whether it was kept. A class: why, see Run. */
export class Kept {
  readonly value: unknown
  /** It can't be shared: each reader gets a copy. */
  readonly isCopied: boolean
  /** Monotonic ms. */
  readonly filledAt: number
  readonly dependencies: readonly Dependency[]
  readonly areHanded: boolean
  /** How long it is fresh, if nothing touches it; Infinity if it does not expire. */
  readonly lifetimeMs: number
  readonly notKept: NotKept | undefined
  readonly from: 'source' | 'l2'
  overtaken: Overtaken | undefined
  /** It was computed from something stale, and from nothing of which less is known. */
  isStale = false
  /** If it is stale: the earliest change that it may have missed, and that was more than an expiry. */
  dropped: Overtaken | undefined

  constructor(
    value: unknown,
    isCopied: boolean,
    filledAt: number,
    dependencies: readonly Dependency[],
    areHanded: boolean,
    lifetimeMs: number,
    notKept: NotKept | undefined,
    from: 'source' | 'l2',
  ) {
    this.value = value
    this.isCopied = isCopied
    this.filledAt = filledAt
    this.dependencies = dependencies
    this.areHanded = areHanded
    this.lifetimeMs = lifetimeMs
    this.notKept = notKept
    this.from = from
  }
}

/** What a key takes, roughly. */
export const KEY_BYTES = 64

/**
 * Ends a fill: the fence's verdict, and the store if it is kept. All in one step: no change can come between.
 *
 * @param sharedName what the entry is called in the tier that processes share, where there is one
 * @param isAwaitedByLoaders  entries that are computed from this one will take over its dependencies
 * @throws ValueError (`TIDEMARK_VALUE`) if the value cannot be kept as it is
 */
export function keep(
  keeper: Keeper,
  request: Request,
  sharedName: string | undefined,
  fill: Fill,
  value: unknown,
  isAwaitedByLoaders: boolean,
): Kept {
  const { space, key, policy } = request
  const now = keeper.clock.now()
  // What is to be cloned for each reader is not frozen in the loader's hands either.
  let own = policy.isCloned ? copyOf(value) : value
  const sealed = seal(own)
  const isCopied = sealed.copied || policy.isCloned
  const dependencies = fill.dependencies
  const lifetimeMs = Math.min(
    policy.ttlMs * (1 - policy.jitter * (policy.jitter && keeper.clock.random())),
    fill.expiresAt - now,
  )
  const isBelievable = keeper.follower.isBelievable(fill.running)
  // The entry's own key is a dependency too: a request may name it.
  const itself: Dependency = { kind: 'key', tenant: space.tenant, key: space.text(key) }
  const touching = dependencies.concat(itself)
  const overtaken = isBelievable ? keeper.follower.overtaken(fill.running, touching) : undefined
  let notKept = whyNot(keeper, policy, fill, lifetimeMs, isBelievable, overtaken, now)
  let slot = -1
  if (notKept === undefined) {
    const ways = fill.partners
    const { about } = fill
    // Whoever has the former value goes on with the same one.
    if (!isCopied) own = keeper.doubts.judge(space, key, own, about, dependencies)
    slot = keeper.l1.store(space, key, own, {
      lsn: keeper.follower.tidemark,
      filledAt: now,
      lifetimeMs,
      dependencies,
      pairing: ways && { ways, missed: missedChanges(fill.running, keeper.follower.ring) },
      doubt: about && !isCopied ? new OwnDoubt(about, keeper, request) : undefined,
      bytes: sealed.bytes + KEY_BYTES,
      copied: isCopied,
    })
    if (slot < 0) notKept = 'too-large'
    else {
      keeper.counters.kept++
      const lsn = keeper.follower.tidemark
      if (sharedName !== undefined)
        keeper.shared?.kept(sharedName, { value: own, lsn, dependencies, itself, filledAt: now, lifetimeMs })
    }
  }
  if (notKept) keeper.counters.notKept[notKept] = (keeper.counters.notKept[notKept] ?? 0) + 1
  space.loaded(now - fill.startedAt)
  keeper.filled(space, key, slot, now - fill.startedAt, notKept)
  const areHanded = isAwaitedByLoaders && slot >= 0
  const shown = areHanded ? keeper.l1.index.handedOf(slot) : dependencies
  const kept = new Kept(own, isCopied, now, shown, areHanded, lifetimeMs, notKept, 'source')
  kept.overtaken = overtaken
  kept.isStale = fill.isStale && !fill.isFenced
  if (kept.isStale) kept.dropped = keeper.follower.dropped(fill.running, touching)
  return kept
}

/** Stores in L1 what L2 had. @throws ValueError (`TIDEMARK_VALUE`) if L2 brought back what can't be kept */
export function keepShared(keeper: Keeper, space: Keyspace, key: SlotKey, policy: Policy, shared: Shared): Kept {
  const { value, dependencies, filledAt, lifetimeMs } = shared
  const sealed = seal(value)
  const isCopied = sealed.copied || policy.isCloned
  keeper.sharedAt = keeper.clock.now()
  const slot = keeper.l1.store(space, key, value, {
    lsn: Math.max(shared.lsn, keeper.follower.tidemark),
    filledAt,
    lifetimeMs,
    dependencies,
    bytes: sealed.bytes + KEY_BYTES,
    copied: isCopied,
  })
  const notKept = slot < 0 ? 'too-large' : undefined
  keeper.filled(space, key, slot, 0, notKept)
  return new Kept(value, isCopied, filledAt, dependencies, false, lifetimeMs, notKept, 'l2')
}

/**
 * Stores in L1 what L2 had, and what an expiry made stale: nobody knows when, so grace counts from when it was loaded.
 *
 * @throws ValueError (`TIDEMARK_VALUE`) if L2 brought back what can't be kept
 */
export function keepExpired(keeper: Keeper, space: Keyspace, key: SlotKey, policy: Policy, shared: Shared): void {
  const { value, lsn, dependencies, filledAt } = shared
  const sealed = seal(value)
  const bytes = sealed.bytes + KEY_BYTES
  const copied = sealed.copied || policy.isCloned
  keeper.sharedAt = keeper.clock.now()
  keeper.l1.store(space, key, value, { lsn, filledAt, lifetimeMs: 0, dependencies, bytes, copied })
}

/** What an entry's loader said of changes that may leave it as it is. */
class OwnDoubt implements Doubt {
  readonly about: About
  readonly #keeper: Keeper
  readonly #request: Request

  constructor(about: About, keeper: Keeper, request: Request) {
    this.about = about
    this.#keeper = keeper
    this.#request = request
  }

  again(): Promise<unknown> {
    return this.#keeper.again(this.#request)
  }
}

function whyNot(
  keeper: Keeper,
  policy: Policy,
  fill: Fill,
  lifetimeMs: number,
  isBelievable: boolean,
  overtaken: Overtaken | undefined,
  now: number,
): NotKept | undefined {
  const hasExpiry = lifetimeMs !== Number.POSITIVE_INFINITY
  if (!keeper.follower.isFollowing) return 'not-following'
  if (!isBelievable) return 'starting'
  if (fill.unkeptReason) return fill.unkeptReason
  if (fill.expiryReason && !hasExpiry) return fill.expiryReason
  if (keeper.hasSource && !fill.hasDependency && !hasExpiry && !policy.isStatic) return 'no-dependency'
  if (overtaken) return overtaken.reason
  if (!keeper.isTrusted(now)) return 'not-current'
  return undefined
}
