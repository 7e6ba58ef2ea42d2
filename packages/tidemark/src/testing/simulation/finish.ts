import { parsePosition } from '../../log/position.js'
import type { Shown } from './definitions.js'
import { Violation } from './oracle.js'
import { quiet } from './quiet.js'
import { TENANTS, type World } from './world.js'

const ROUNDS_MAX = 400
const ROUND_MS = 20
/** Longer than any expiry, grace and lag of the definitions. */
const LONGEST_MS = 1_200
/** Peeking definitions are fresh only while what they peek at is kept. */
const FINAL = ['post', 'feed', 'page', 'graced', 'patient', 'home', 'front', 'copy'] as const

/** Faults stop, everything is shown, delivered and answered: every read ends, and is fresh, and equals the source. */
export async function finish(world: World): Promise<void> {
  world.note(() => 'faults stop')
  world.source.failure = 0
  if (!world.faults.closesEarly) {
    await allEnd(world)
    await catchUp(world)
    await readAll(world)
    await until(world, 'every watch shows the truth', () => watchesAreTrue(world))
  }
  if (!world.violation) await end(world)
}

function allEnd(world: World): Promise<void> {
  return until(world, 'all that was asked ends', () => world.pending.size === 0)
}

/** What was kept meanwhile has expired, what lags has caught up, and the process is current. */
async function catchUp(world: World): Promise<void> {
  const { core, clock } = world
  // Once one that lags was asked for, the ring keeps what the next are compared with.
  void world.ask(TENANTS[0], 'copy', 1)
  await allEnd(world)
  clock.pass(LONGEST_MS)
  await round(world)
  await until(world, 'the process becomes current', () => core.isTrusted(clock.now()))
  await until(world, 'the process keeps fills again', () => core.follower.isKeeping)
  await until(world, 'every change is proven', () => core.follower.unproven === 0)
  // Who joins a load that began before all this gets what that one can know.
  await until(world, 'every flight lands', () => core.reads.flights.size === 0)
}

async function readAll(world: World): Promise<void> {
  if (world.violation) return
  const [own, other] = TENANTS
  const answers = FINAL.flatMap((name) => [1, 2].map((id) => world.ask(own, name, id)))
  answers.push(world.ask(other, 'front', 1))
  await allEnd(world)
  if (world.violation) return
  for (const answer of await Promise.all(answers)) {
    world.judge(() => {
      if (answer?.state === 'fresh')
        return world.oracle.isTruth(answer.value, `${answer.value.tenant} ${answer.value.key}`)
      const reasons = JSON.stringify(world.core.counters.notKept)
      throw new Violation(`liveness: ${answer?.value.tenant} ${answer?.value.key} is ${answer?.state}: ${reasons}`)
    })
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
async function end(world: World): Promise<void> {
  const { core, clock, watches } = world
  world.close()
  await allEnd(world)
  await until(world, 'every loader ends', () => world.running === 0)
  await until(world, 'every watch ends', () => watches.every((watch) => watch.isEnded))
  world.judge(() => {
    if (clock.timers > 0) throw new Violation(`close: ${clock.timers} timers are left`)
    if (core.reads.flights.size > 0) throw new Violation('close: flights are left')
    if (core.watched > 0) throw new Violation('close: watches are left')
  })
}

async function until(world: World, hope: string, isDone: () => boolean): Promise<void> {
  for (let i = 0; i < ROUNDS_MAX && !world.violation; i++) {
    if (isDone()) return
    await round(world)
  }
  world.judge(() => {
    const waits = [...world.pending].join('; ') || 'nothing'
    if (!world.violation) throw new Violation(`liveness: never comes: ${hope} (${waits} waits)`)
  })
}

/** One round of a healthy world: everything that waits is answered, and a little time passes. */
async function round(world: World): Promise<void> {
  const { log, database, source, clock } = world
  log.isUp = true
  while (database.openCount > 0) database.rollback(0)
  for (const commit of database.hidden) database.show(commit)
  if (!log.isFollowing && !world.isClosed) log.start()
  for (const hidden of database.hidden) database.show(hidden)
  while (log.isFollowing && log.waiting > 0) log.deliver()
  if (log.isFollowing) log.keepalive()
  source.replayed = database.end
  log.look()
  while (log.appends > 0) log.appended()
  for (let i = log.probes; i > 0; i--) log.probeStep()
  for (let i = source.parked; i > 0; i--) source.step()
  await quiet()
  clock.pass(ROUND_MS)
  while (clock.fire()) await quiet()
  await quiet()
  world.inspect()
}
