import { parsePosition } from '../../log/position.js'
import type { Shown } from './definitions.js'
import { Violation } from './oracle.js'
import { quiet } from './quiet.js'
import type { SimRelayed } from './sim-relay.js'
import { TENANTS, type World } from './world.js'

const ROUNDS_MAX = 400
const ROUND_MS = 20
/** Longer than any expiry, grace and lag of the definitions. */
const LONGEST_MS = 1_200
/** So often a read at the end may be answered by what just expired. */
const STALE_MAX = 3
/** Peeking definitions are fresh only while what they peek at is kept. */
const FINAL = ['post', 'feed', 'page', 'graced', 'patient', 'home', 'front', 'copy'] as const

/** The processes take up the log, or the relay, and become current, in a healthy world. */
export async function begin(worlds: readonly World[]): Promise<void> {
  const { clock } = worlds[0]!
  await until(worlds, 'the process becomes current', ({ core }) => core.isTrusted(clock.now()))
  await until(worlds, 'the process keeps fills', ({ core }) => core.follower.isKeeping)
}

/** Faults stop, everything is shown, delivered and answered: every read ends, and is fresh, and equals the source. */
export async function finish(worlds: readonly World[]): Promise<void> {
  const { nature, faults } = worlds[0]!
  nature.note(() => 'faults stop')
  for (const { source } of worlds) source.failure = 0
  if (!faults.closesEarly) {
    await allEnd(worlds)
    for (const world of worlds) {
      await catchUp(worlds)
      await readAll(worlds, world)
    }
    await until(worlds, 'every watch shows the truth', watchesAreTrue)
  }
  if (!nature.violation) await end(worlds)
}

function allEnd(worlds: readonly World[]): Promise<void> {
  return until(worlds, 'all that was asked ends', ({ pending }) => pending.size === 0)
}

/** What was kept meanwhile has expired, what lags has caught up, and the processes are current. */
async function catchUp(worlds: readonly World[]): Promise<void> {
  const { clock } = worlds[0]!
  // Once one that lags was asked for, the ring keeps what the next are compared with.
  for (const world of worlds) void world.ask(TENANTS[0], 'copy', 1)
  await allEnd(worlds)
  // What is delivered later would count as newer than what lags.
  await round(worlds)
  clock.pass(LONGEST_MS)
  await round(worlds)
  await until(worlds, 'the process becomes current', ({ core }) => core.isTrusted(clock.now()))
  await until(worlds, 'the process keeps fills again', ({ core }) => core.follower.isKeeping)
  await until(worlds, 'every change is proven', ({ core }) => core.follower.unproven === 0)
  // Who joins a load that began before all this gets what that one can know.
  await until(worlds, 'every flight lands', ({ core }) => core.reads.flights.size === 0)
}

async function readAll(worlds: readonly World[], world: World): Promise<void> {
  const [own, other] = TENANTS
  let wanted = FINAL.flatMap((name) => [1, 2].map((id) => ({ tenant: own as string, name, id })))
  wanted.push({ tenant: other, name: 'front', id: 1 })
  for (let again = 0; wanted.length > 0 && !world.violation; again++) {
    const asked = wanted.map(({ tenant, name, id }) => world.ask(tenant, name, id))
    await allEnd(worlds)
    if (world.violation) return
    const answers = await Promise.all(asked)
    // What was filled for a watch a moment ago may expire just then: who asks again gets what that refilled.
    wanted = wanted.filter((_, i) => answers[i]?.state === 'stale' && again < STALE_MAX)
    for (const answer of answers) {
      if (answer?.state === 'stale' && again < STALE_MAX) continue
      world.judge(() => {
        if (answer?.state === 'fresh')
          return world.oracle.isTruth(answer.value, `${answer.value.tenant} ${answer.value.key}`)
        const reasons = JSON.stringify(world.core.counters.notKept)
        throw new Violation(`liveness: ${answer?.value.tenant} ${answer?.value.key} is ${answer?.state}: ${reasons}`)
      })
    }
  }
}

function watchesAreTrue(world: World): boolean {
  return world.watches.every(({ isEnded, latest }) => isEnded || (latest && isTrue(world, latest.value, latest.asOf)))
}

function isTrue(world: World, value: Shown, asOf: string | undefined): boolean {
  const { database, oracle } = world
  return parsePosition(asOf!).epoch === database.epoch && !oracle.contradiction(value, database.end, 'fresh')
}

/** After close nothing waits, and nothing is left behind. */
async function end(worlds: readonly World[]): Promise<void> {
  const { nature, clock } = worlds[0]!
  for (const world of worlds) world.close()
  await allEnd(worlds)
  await until(worlds, 'every loader ends', ({ running }) => running === 0)
  await until(worlds, 'every watch ends', ({ watches }) => watches.every((watch) => watch.isEnded))
  nature.judge(() => {
    if (clock.timers > 0) throw new Violation(`close: ${clock.timers} timers are left`)
    if (worlds.some(({ core }) => core.reads.flights.size > 0)) throw new Violation('close: flights are left')
    if (worlds.some(({ core }) => core.watched > 0)) throw new Violation('close: watches are left')
  })
}

async function until(worlds: readonly World[], hope: string, isDone: (world: World) => boolean): Promise<void> {
  const { nature } = worlds[0]!
  for (let i = 0; i < ROUNDS_MAX && !nature.violation; i++) {
    if (worlds.every(isDone)) return
    await round(worlds)
  }
  nature.judge(() => {
    const waits = worlds.flatMap(({ pending }) => [...pending]).join('; ') || 'nothing'
    if (!nature.violation) throw new Violation(`liveness: never comes: ${hope} (${waits} waits)`)
  })
}

/** One round of a healthy world: everything that waits is answered, and a little time passes. */
async function round(worlds: readonly World[]): Promise<void> {
  const { clock, database } = worlds[0]!
  for (const { log } of worlds) log.isUp = true
  while (database.openCount > 0) database.rollback(0)
  for (const commit of database.hidden) database.show(commit)
  someoneLeads(worlds)
  for (const { log, isClosed } of worlds) if (log.mayStart && !isClosed) log.start()
  for (const hidden of database.hidden) database.show(hidden)
  for (const { log, source, l2, relayed } of worlds) {
    while (log.isFollowing && log.waiting > 0) log.deliver()
    if (log.isFollowing) log.keepalive()
    while (relayed?.sink && relayed.sink.parked > 0) relayed.sink.step(true)
    source.replayed = database.end
    log.look()
    while (log.appends > 0) log.appended()
    for (let i = log.probes; i > 0; i--) log.probeStep()
    for (let i = source.parked; i > 0; i--) source.step()
    for (let i = l2?.parked ?? 0; i > 0; i--) await l2!.step()
  }
  for (const { relayed } of worlds) await followRelay(relayed)
  await quiet()
  clock.pass(ROUND_MS)
  while (clock.fire()) await quiet()
  await quiet()
  for (const world of worlds) world.inspect()
}

function someoneLeads(worlds: readonly World[]): void {
  const open = worlds.filter(({ relayed, isClosed }) => relayed && !isClosed)
  for (const { relayed } of open) if (relayed!.isElsewhere) relayed!.notice()
  if (open.length === 0 || open.some(({ relayed }) => relayed!.role === 'leader' && relayed!.isLeading)) return
  open[0]!.relayed!.become('leader')
  open[0]!.relayed!.isLeading = true
}

async function followRelay(relayed: SimRelayed | undefined): Promise<void> {
  if (!relayed) return
  if (relayed.mayTakeUp) await relayed.takeUp()
  while (relayed.hasNext) relayed.read()
}
