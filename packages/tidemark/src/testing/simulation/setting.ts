import { ClosedError, SourceDownError } from '../../errors.js'
import { keyName, type Shown, tagName } from './definitions.js'
import { Violation } from './oracle.js'
import { type Step, step } from './step.js'
import { TENANTS, type World } from './world.js'

const KEY = 'raw'
const TAG = 'raw'

/** A value that was read while what makes it stale is applied and hidden must not be kept. */
export const SET_STEPS: readonly Step[] = [
  step('set what a hidden request is about', 10, hasHiddenRequest, (world) => void readAndSet(world, TENANTS[0])),
]

function hasHiddenRequest({ faults, database, core: { follower } }: World): boolean {
  if (!faults.sets || follower.epoch !== database.epoch) return false
  const names = [keyName(TENANTS[0], KEY), tagName(TENANTS[0], TAG)]
  return database.invalidations.some(
    ({ isVisible, lsn, externals }) =>
      !isVisible && lsn <= follower.tidemark && externals.some(({ name }) => names.includes(name)),
  )
}

/**
 * Somebody reads what lies outside without a loader, and sets it: since a position, after a while; or at once. What he sees is what has been
 * shown by then, like any reader of the database in which it lies.
 */
export async function readAndSet(world: World, tenant: string): Promise<void> {
  const { nature, clock, chance, pending } = world
  const view = world.views.get(tenant)!
  const name = `set ${++nature.asked} of ${tenant}`
  const delayMs = chance.is(0.7) ? chance.of([0, 5, 30, 150]) : undefined
  pending.add(name)
  try {
    const asOf = delayMs === undefined ? undefined : await view.position()
    const value = shownNow(world, tenant)
    world.note(() => `${name}: load ${value.load} reads since ${asOf ?? 'now'}`)
    if (delayMs !== undefined) await new Promise<void>((resolve) => clock.after(delayMs, resolve))
    // Without a position a value that was read a while ago would count as read now.
    if (delayMs !== undefined && asOf === undefined) return
    const { position, notKept } = await view.set(KEY, value, { tags: [TAG], ttl: 300, ...(asOf && { asOf }) })
    world.note(() => `${name} applied at ${position}: ${notKept ?? 'kept'}`)
    if (notKept === undefined) world.sets++
  } catch (error) {
    world.note(() => `${name} fails: ${error}`)
    if (error instanceof SourceDownError || (error instanceof ClosedError && world.isClosed)) return
    world.judge(() => {
      throw new Violation(`${name} failed: ${error instanceof Error ? error.stack : error}`)
    })
  } finally {
    pending.delete(name)
  }
}

/** Looks for what was set, in this process or another. */
export async function findSet(world: World, tenant: string): Promise<void> {
  const { nature, pending } = world
  const asked = world.asked(tenant, KEY)
  const name = `find ${++nature.asked} of ${tenant}`
  pending.add(name)
  try {
    const found = await world.views.get(tenant)!.find(KEY)
    world.note(
      () =>
        `${name}: ${found ? `load ${(found.value as Shown).load} from ${found.from} as of ${found.asOf}` : 'nothing'}`,
    )
    if (!found) return
    const { from, asOf, filledAt } = found
    const answer = { value: found.value as Shown, state: 'fresh', from, asOf, filledAt } as const
    world.judge(() => world.oracle.answered(asked, answer, world.process, world.clock.trueMs))
  } finally {
    pending.delete(name)
  }
}

function shownNow({ nature, database, clock }: World, tenant: string): Shown {
  const load = ++nature.loads
  nature.loadedAt.set(load, clock.now())
  const names = [keyName(tenant, KEY), tagName(tenant, TAG)]
  return {
    tenant,
    key: KEY,
    load,
    reads: [],
    externals: Object.fromEntries(names.map((name) => [name, shown(name)])),
    inner: [],
  }

  function shown(name: string): number {
    const hidden = database.invalidations.filter(({ isVisible }) => !isVisible)
    const versions = hidden.flatMap(({ externals }) => externals.filter((each) => each.name === name))
    return Math.min(database.external(name), ...versions.map(({ version }) => version - 1))
  }
}
