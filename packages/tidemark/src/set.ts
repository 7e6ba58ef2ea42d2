import type { SetOptions, SetOutcome } from './cache.js'
import type { Core } from './core.js'
import type { Dependency } from './dependencies/dependency.js'
import { OptionError } from './errors.js'
import { type Overtaken, overtakenSince } from './fence/fence.js'
import type { RunningFill } from './follow/running-fill.js'
import type { By } from './log/by.js'
import { parsePosition, type RequestedPosition } from './log/position.js'
import { ENTRY_OPTIONS, namesOf, type Policy, tagsOf } from './options.js'
import { KEY_BYTES } from './read/keep.js'
import type { Keyspace } from './read/keyspace.js'
import { deadline } from './read/wait.js'
import type { NotKept } from './source.js'
import { copyOf, seal } from './values.js'

/** How long the ring keeps changes once somebody took a position to read something by. */
const RETAIN_MS = 10_000
const KEYS_MAX = 1_000

const OPTIONS = [
  'asOf',
  'ttl',
  'tags',
  'dependsOn',
  'values',
  'by',
  'signal',
] as const satisfies readonly (keyof SetOptions)[]

/** What a set value has instead of a loader: other processes find it in L2 by this. */
export function setByHand(): void {}

/** Where this process is, and what new snapshots of the source are sure to show: of what was applied, all, if that can be waited for. */
export async function readPosition(
  { follower, clock, options }: Core,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  signal?.throwIfAborted()
  follower.retain(RETAIN_MS)
  if (follower.unproven > 0 && options.proofWaitMs > 0) {
    const bound = deadline(clock, options.proofWaitMs, signal)
    await follower.whenProven(follower.tidemark, undefined, bound.signal)
    bound.cancel()
    signal?.throwIfAborted()
  }
  if (!follower.isFollowing) return undefined
  const { below } = follower.seen
  return below === 0 ? follower.position : `${follower.position}~${below}`
}

/** The same, once all is applied that was committed before the call; undefined where that can't be waited for. */
export async function readLatest(core: Core, signal: AbortSignal | undefined): Promise<string | undefined> {
  const bound = deadline(core.clock, core.options.waitMaxMs, signal)
  const isThere = await core.follower.caughtUp(bound.signal)
  bound.cancel()
  signal?.throwIfAborted()
  return isThere ? readPosition(core, signal) : undefined
}

export interface Setting {
  readonly space: Keyspace
  readonly key: string
  readonly value: unknown
  readonly policy: Policy
  readonly options: SetOptions
  readonly by: By | undefined
}

/** The entry options among those of a set. @throws OptionError */
export function entryOptionsOf(options: SetOptions): Pick<SetOptions, 'ttl' | 'tags' | 'values'> {
  namesOf(options, OPTIONS, 'set()')
  const { dependsOn = [] } = options
  if (!Array.isArray(dependsOn) || dependsOn.length > KEYS_MAX || dependsOn.some((key) => typeof key !== 'string'))
    throw new OptionError(`dependsOn is an array of at most ${KEYS_MAX} keys' text forms.`)
  if (options.asOf !== undefined) parsePosition(options.asOf)
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => (ENTRY_OPTIONS as readonly string[]).includes(name)),
  )
}

/**
 * A change to the key, for everybody; and then an entry here, if nothing has touched it meanwhile:
 *   1 set   begins: at `asOf`, which its caller took before he read; else now
 *   2 log   applies a change of a row, or another set of the key
 *   3 log   applies the set's own change, at p: every process drops the key
 *   4 set   is stored unless 2 came between. It is valid as of where this process is now, so p does not drop it
 */
export async function set(core: Core, setting: Setting): Promise<SetOutcome> {
  const { follower } = core
  const { space, key, policy, options, by } = setting
  const value = policy.isCloned ? copyOf(setting.value) : setting.value
  // What can't be kept is refused before anybody is told.
  const sealed = seal(value)
  const { tenant } = space
  const dependencies: Dependency[] = [
    ...tagsOf(options.tags ?? policy.tags).map((tag): Dependency => ({ kind: 'tag', tenant, tag })),
    ...(options.dependsOn ?? []).map((each): Dependency => ({ kind: 'key', tenant, key: each })),
  ]
  const asOf = options.asOf === undefined ? undefined : parsePosition(options.asOf)
  if (asOf) follower.retain(RETAIN_MS)
  const fill = follower.begin(0)
  try {
    const target = { kind: 'key', tenant, key } as const
    const position = await core.invalidations.request({ targets: [target], mode: 'drop', by }, options.signal)
    const own = parsePosition(position).lsn
    const now = core.clock.now()
    const itself: Dependency = { kind: 'key', tenant, key }
    let notKept = whyNot(core, fill, asOf, [...dependencies, itself], own)
    let slot = -1
    if (notKept === undefined) {
      const lifetimeMs = policy.ttlMs
      const lsn = follower.tidemark
      const copied = sealed.copied || policy.isCloned
      slot = core.l1.store(space, key, value, {
        lsn,
        filledAt: now,
        lifetimeMs,
        dependencies,
        bytes: sealed.bytes + KEY_BYTES,
        copied,
      })
      if (slot < 0) notKept = 'too-large'
      else {
        core.counters.kept++
        core.shared?.kept(core.shared.nameOf(space, key, setByHand), {
          value,
          lsn,
          dependencies,
          itself,
          filledAt: now,
          lifetimeMs,
        })
      }
    }
    if (notKept) core.counters.notKept[notKept] = (core.counters.notKept[notKept] ?? 0) + 1
    core.filled(space, key, slot, 0, notKept)
    return { position, notKept }
  } finally {
    follower.ended(fill)
  }
}

function whyNot(
  core: Core,
  fill: RunningFill,
  asOf: RequestedPosition | undefined,
  dependencies: readonly Dependency[],
  own: number,
): NotKept | undefined {
  const { follower } = core
  if (!follower.isFollowing) return 'not-following'
  if (!follower.isBelievable(fill)) return 'starting'
  const overtaken = asOf ? since(core, asOf, dependencies, own) : follower.overtaken(fill, dependencies, own)
  if (overtaken) return overtaken.reason
  return core.isTrusted(core.clock.now()) ? undefined : 'not-current'
}

function since(
  { follower }: Core,
  { epoch, lsn, seenBelow = 0 }: RequestedPosition,
  dependencies: readonly Dependency[],
  own: number,
): Overtaken | undefined {
  // No position of another history can be compared; and none that was told before the change lies after it.
  if ((epoch !== undefined && epoch !== follower.epoch) || lsn >= own) return { at: 0, reason: 'forgotten' }
  return overtakenSince({ lsn, seenBelow }, dependencies, follower.ring, follower.seen.hiddenTo, own)
}
