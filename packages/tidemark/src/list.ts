import type { KeyInfo, KeyPage, KeysQuery, Pattern } from './cache.js'
import type { Core } from './core.js'
import { matcherOf, reachOfKey } from './dependencies/pattern.js'
import { OptionError } from './errors.js'
import type { Target } from './log/change.js'
import { namesOf } from './options.js'
import type { Keyspace } from './read/keyspace.js'
import { Slices } from './slices.js'
import { targetsOf } from './targets.js'
import { wallTimesOf } from './wall-times.js'

const LIMIT = 50
const LIMIT_MAX = 1_000
/** One page looks at so many keys at most, if they come in order: what is beyond is for the next one. */
const LOOKED_MAX = 100_000

const NAMES = [
  'pattern',
  'contains',
  'tag',
  'state',
  'sort',
  'descending',
  'after',
  'limit',
  'signal',
] as const satisfies readonly (keyof KeysQuery)[]
const SORTS = ['key', 'age', 'size', 'expiry'] as const satisfies readonly KeysQuery['sort'][]

/** Where an entry stands in the order that is asked for. */
interface Place {
  readonly by: number
  readonly key: string
}

/** The keys that are stored, page by page. */
export async function list(core: Core, tenant: string, query: KeysQuery): Promise<KeyPage> {
  const { limit = LIMIT, sort = 'key', descending = false } = checked(query)
  const targets =
    query.pattern === undefined ? [] : targetsOf({ pattern: query.pattern as Pattern }, tenant, core.options.patterns)
  const isWanted = (slot: number): boolean => matches(core, tenant, targets, query, slot)
  const after = query.after === undefined ? undefined : placeOf(query.after)
  const isInOrder = sort === 'key' && !descending && query.tag === undefined
  return isInOrder
    ? inOrder(core, tenant, { targets, isWanted, after, limit, signal: query.signal })
    : sorted(core, tenant, { isWanted, after, limit, sort, descending, tag: query.tag, signal: query.signal })
}

interface Walk {
  readonly isWanted: (slot: number) => boolean
  readonly after: Place | undefined
  readonly limit: number
  readonly signal: AbortSignal | undefined
}

/** Through the ordered keys, from where the last page ended. */
async function inOrder(core: Core, tenant: string, walk: Walk & { targets: readonly Target[] }): Promise<KeyPage> {
  const { targets, isWanted, after, limit, signal } = walk
  const slices = new Slices(core.clock, signal)
  const order = core.l1.orders.by('beginning')
  await slices.all(order.build())
  const prefix = prefixOf(targets)
  const keys: KeyInfo[] = []
  let [looked, last] = [0, after?.key]
  for (const { key, id } of order.keys(
    'entry',
    tenant,
    prefix,
    last !== undefined && last >= prefix ? last : undefined,
  )) {
    if (keys.length === limit || looked === LOOKED_MAX) return { keys, next: textOf({ by: 0, key: last! }) }
    looked++
    if (slices.isOver) await slices.next()
    // Sessions have entries of their own under one key.
    if (keys.at(-1)?.key !== key && isWanted(id)) keys.push(infoOf(core, id))
    last = key
  }
  return { keys, next: undefined }
}

/** Looks at all keys of the tenant, or of the tag, and keeps the first ones of the order. */
async function sorted(
  core: Core,
  tenant: string,
  walk: Walk & { sort: NonNullable<KeysQuery['sort']>; descending: boolean; tag: string | undefined },
): Promise<KeyPage> {
  const { isWanted, after, limit, sort, descending, tag, signal } = walk
  const slices = new Slices(core.clock, signal)
  const sign = descending ? -1 : 1
  const compare = (a: Place, b: Place): number => sign * (a.by - b.by || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  let first: (Place & { readonly slot: number })[] = []
  const cut = (): void => {
    first.sort(compare)
    first = first.filter(({ key }, i) => first[i - 1]?.key !== key).slice(0, limit + 1)
  }
  for (const slot of slotsOf(core, tenant, tag)) {
    if (slices.isOver) await slices.next()
    if (!isWanted(slot)) continue
    const place = { by: measure(core, slot, sort), key: textAt(core, slot), slot }
    if (after && compare(place, after) <= 0) continue
    first.push(place)
    if (first.length > 4 * (limit + LIMIT)) cut()
  }
  cut()
  const page = first.slice(0, limit)
  const keys = page.filter(({ slot, key }) => isWanted(slot) && textAt(core, slot) === key)
  const next = first.length > limit ? textOf(page.at(-1)!) : undefined
  return { keys: keys.map(({ slot }) => infoOf(core, slot)), next }
}

function* slotsOf({ l1, spaces }: Core, tenant: string, tag: string | undefined): Generator<number> {
  if (tag === undefined) {
    for (const space of spaces.of(tenant)) yield* space.slots.values()
    return
  }
  const id = l1.index.idOf({ kind: 'tag', tenant, tag })
  const slots: number[] = []
  if (id !== undefined) l1.index.entriesOf(id, (slot) => void slots.push(slot))
  yield* slots
}

function matches(core: Core, tenant: string, targets: readonly Target[], query: KeysQuery, slot: number): boolean {
  const { l1, sweeps } = core
  // Between two slices it may have gone; what a sweep has yet to come to is gone for readers.
  if (!l1.holds(slot) || l1.spaceOf(slot).tenant !== tenant || sweeps.modeOf(slot) === 'drop') return false
  const key = textAt(core, slot)
  if (query.contains !== undefined && !key.includes(query.contains)) return false
  if (!targets.every((target) => reachOfKey(target, tenant, key) !== 'none')) return false
  return query.state === undefined || stateOf(core, slot) === query.state
}

function measure({ l1 }: Core, slot: number, sort: NonNullable<KeysQuery['sort']>): number {
  switch (sort) {
    case 'key':
      return 0
    case 'age':
      // The youngest first.
      return -l1.filledAtOf(slot)
    case 'size':
      return l1.bytesOf(slot)
    case 'expiry':
      return Math.min(l1.expiresAtOf(slot), Number.MAX_VALUE)
  }
}

function infoOf(core: Core, slot: number): KeyInfo {
  const { l1, follower } = core
  const tags: string[] = []
  for (const each of l1.dependenciesOf(slot)) if (each.kind === 'tag') tags.push(each.tag)
  return {
    key: textAt(core, slot),
    definition: (l1.spaceOf(slot) as Keyspace).name,
    state: stateOf(core, slot),
    bytes: l1.bytesOf(slot),
    position: follower.positionAt(l1.lsnOf(slot)),
    ...wallTimesOf(core, slot),
    tags,
  }
}

function stateOf({ l1, clock }: Core, slot: number): KeyInfo['state'] {
  return l1.isFreshAt(slot, clock.now()) ? 'fresh' : 'expired'
}

function textAt({ l1 }: Core, slot: number): string {
  return l1.spaceOf(slot).text(l1.keyOf(slot))
}

/** What all keys that match begin with. */
function prefixOf(targets: readonly Target[]): string {
  const [only] = targets
  if (targets.length !== 1 || !only) return ''
  if (only.kind === 'key') return only.key
  return only.kind === 'pattern' ? matcherOf(only).prefix : ''
}

function textOf({ by, key }: Place): string {
  return Buffer.from(JSON.stringify([by, key])).toString('base64url')
}

/** @throws OptionError */
function placeOf(cursor: string): Place {
  try {
    const [by, key] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [unknown, unknown]
    if (typeof by === 'number' && typeof key === 'string') return { by, key }
  } catch {
    // Refused below.
  }
  throw new OptionError('after is what an earlier page told as `next`.')
}

function checked(query: KeysQuery): KeysQuery {
  namesOf(query, NAMES, 'keys()')
  const { limit = LIMIT, sort = 'key', state, contains = '', tag = '' } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    throw new OptionError(`limit is a whole number from 1 to ${LIMIT_MAX}.`)
  if (!SORTS.includes(sort)) throw new OptionError(`sort is one of ${SORTS.join(', ')}.`)
  if (state !== undefined && state !== 'fresh' && state !== 'expired')
    throw new OptionError("state is 'fresh' or 'expired'.")
  if (typeof contains !== 'string' || typeof tag !== 'string') throw new OptionError('contains and tag are texts.')
  return query
}
