import { IDS, type Written } from './database.js'
import { quiet } from './quiet.js'
import { type Step, step } from './step.js'
import { TENANTS, type World } from './world.js'

interface Graced {
  readonly tenant: string
  readonly id: number
}

/** What is rarely asked for by chance, in the moment in which a rule matters. */
export const AIMED_STEPS: readonly Step[] = [
  step('all that the process waits for is answered', 8, ({ faults }) => faults.processes > 1, answer),
  step('ask for what is stored while a sweep is under way', 12, ({ core }) => core.sweeps.pending > 0, askStored),
  step('ask for what is applied and hidden', 6, hasAppliedHidden, askHidden),
  step('ask for what grace serves', 3, ({ faults }) => faults.invalidates, askGraced),
  step('expire what grace serves', 8, (world) => world.faults.invalidates && graced(world, true).length > 0, expire),
  step('ask for what is computed from something stale', 16, hasStale, askFromStale),
  step('ask for what was committed behind a mark', 12, (world) => behindMark(world).length > 0, askBehindMark),
]

/** It has read of a commit that new snapshots do not show. */
export function hasAppliedHidden(world: World): boolean {
  return appliedHidden(world).length > 0
}

function appliedHidden({ database, core: { follower } }: World): Written[] {
  return follower.epoch === database.epoch ? database.hidden.filter(({ lsn }) => lsn <= follower.tidemark) : []
}

/** What it asks of the source and of L2 takes many steps; here they come one after the other, as where nothing else happens. */
async function answer({ chance, log, source, l2 }: World): Promise<void> {
  for (let rounds = chance.between(2, 6); rounds > 0; rounds--) {
    for (let i = log.probes; i > 0; i--) log.probeStep()
    for (let i = source.parked; i > 0; i--) source.step()
    for (let i = l2?.parked ?? 0; i > 0; i--) await l2!.step()
    await quiet()
  }
}

function askStored(world: World): void {
  const stored = [...world.core.spaces.all()].flatMap(({ tenant, name, slots }) =>
    name === undefined ? [] : [...slots.keys()].map((id) => ({ tenant, name, id: Number(id) })),
  )
  if (stored.length === 0) return
  const { tenant, name, id } = world.chance.of(stored)
  void world.ask(tenant, name, id)
}

function askHidden(world: World): void {
  askForRows(world, appliedHidden(world))
}

/** The entries that grace may serve, now or once they have expired. */
function graced({ core: { l1, spaces }, clock }: World, isFresh: boolean): Graced[] {
  return [...spaces.all()].flatMap(({ tenant, name, slots }) => {
    const found = [...slots].filter(([, slot]) => name === 'graced' && l1.isFreshAt(slot, clock.now()) === isFresh)
    return found.map(([id]) => ({ tenant, id: Number(id) }))
  })
}

function askGraced(world: World): void {
  void world.ask(TENANTS[0], 'graced', world.chance.between(1, 2))
}

function expire(world: World): void {
  const { tenant, id } = world.chance.of(graced(world, true))
  void world.invalidate(tenant, [`graced(${id})`], [], 'expire')
}

/** Its outer entry reads rows beside it: best some that were changed, and are not shown yet. */
function hasStale(world: World): boolean {
  return (
    graced(world, false).length > 0 &&
    appliedHidden(world).some(({ rows }) => [...rows.keys()].some((row) => row >= IDS))
  )
}

function askFromStale(world: World): void {
  const { tenant, id } = world.chance.of(graced(world, false))
  void world.ask(tenant, 'digest', id)
}

/** What new snapshots show, and a mark that is under way does not vouch for. */
function behindMark({ log: { markUnderWay }, database }: World): Written[] {
  if (!markUnderWay) return []
  return database.commits.filter(({ lsn, isVisible }) => isVisible && lsn > markUnderWay.lsn)
}

/** What is filled then must not outlast a crash, though it was filled before the mark came. */
async function askBehindMark(world: World): Promise<void> {
  askForRows(world, behindMark(world))
  await quiet()
  await answer(world)
  world.clock.pass(1)
}

function askForRows(world: World, commits: readonly Written[]): void {
  const rows = commits.flatMap((commit) => [...commit.rows.keys()])
  if (rows.length === 0) return
  const row = world.chance.of(rows)
  const id = (row % IDS) + 1
  // No definition is asked for the last one elsewhere.
  if (id < IDS) void world.ask(TENANTS[0], row < IDS ? 'post' : 'patient', id)
}
