import { formatPosition } from '../../log/position.js'
import { AIMED_STEPS } from './aimed-steps.js'
import { type Database, IDS, ROWS, TABLES } from './database.js'
import { MANY_STEPS } from './many-steps.js'
import { MAX_SILENCE_MS } from './nature.js'
import { RELAY_STEPS } from './relay-steps.js'
import { RESTART_STEPS } from './restart-steps.js'
import { findSet, readAndSet, SET_STEPS } from './setting.js'
import { type Step, step } from './step.js'
import { WIDE } from './wide.js'
import { TENANTS, type World } from './world.js'

const ASKABLE = [
  'post',
  'feed',
  'page',
  'graced',
  'patient',
  'home',
  'front',
  'digest',
  'peeker',
  'listed',
  'from',
  'counted',
] as const
const ELSEWHERE = ['replica', 'copy'] as const
const WATCHABLE = ['post', 'feed', 'page', 'graced', 'home', 'from', 'counted'] as const

/** What may happen at the source. */
const SOURCE_STEPS: readonly Step[] = [
  step(
    'begin',
    4,
    ({ database }) => database.openCount < 3,
    ({ database }) => database.begin(),
  ),
  step('write', 7, hasOpen, write),
  step('commit', 6, hasOpen, commit),
  step('rollback', 0.5, hasOpen, ({ database, chance }) => database.rollback(chance.below(database.openCount))),
  step('show', 7, ({ database }) => database.hidden.length > 0, show),
  step('replay', 1, ({ faults }) => faults.readsElsewhere, replay),
  ...RESTART_STEPS,
  step(
    'down',
    0.5,
    ({ log, faults }) => faults.sourceGoesDown && log.isUp,
    ({ log }) => setUp(log, false),
  ),
  step(
    'up',
    3,
    ({ log }) => !log.isUp,
    ({ log }) => setUp(log, true),
  ),
]

/** What may happen to the log on its way. */
const LOG_STEPS: readonly Step[] = [
  step(
    'deliver',
    9,
    ({ log }) => log.isFollowing && log.waiting > 0,
    ({ log }) => log.deliver(),
  ),
  step(
    'repeat',
    0.5,
    ({ log }) => log.isFollowing,
    ({ log }) => log.repeat(),
  ),
  step(
    'skip',
    1,
    (world) => world.faults.skipsRecords && world.log.isFollowing && world.log.waiting > 1,
    ({ log }) => log.skip(),
  ),
  step(
    'mark',
    3,
    ({ log, faults }) => faults.marks && log.isFollowing && log.isUp,
    ({ log }) => log.mark(),
  ),
  step(
    'keepalive',
    2,
    ({ log }) => log.isFollowing,
    ({ log }) => log.keepalive(),
  ),
  step(
    'status',
    8,
    ({ log }) => log.isFollowing && log.isNudged,
    ({ log }) => log.keepalive(),
  ),
  step(
    'probe',
    10,
    ({ log }) => log.probes > 0,
    ({ log }) => log.probeStep(),
  ),
  step(
    'fail a probe',
    2,
    ({ log, faults }) => faults.failsProbes && log.probes > 0,
    ({ log }) => log.failProbe(),
  ),
  step(
    'look',
    3,
    ({ log }) => log.looks > 0,
    ({ log }) => log.look(),
  ),
  step(
    'appended',
    4,
    ({ log }) => log.appends > 0,
    ({ log }) => log.appended(),
  ),
  step(
    'lose',
    0.7,
    ({ log, faults }) => (faults.losesLog || faults.restores) && log.isFollowing,
    ({ log }) => log.lose(),
  ),
  step(
    'start',
    5,
    ({ log }) => log.mayStart,
    ({ log }) => log.start(),
  ),
  step(
    'resume',
    5,
    ({ log }) => log.isResumable,
    ({ log }) => log.resume(),
  ),
  step(
    'start anew',
    0.2,
    ({ log, faults }) => faults.losesLog && log.isFollowing,
    ({ log }) => log.start(),
  ),
]

/** What the process and its users may do. */
const PROCESS_STEPS: readonly Step[] = [
  step(
    'load',
    16,
    ({ source }) => source.parked > 0,
    ({ source }) => source.step(),
  ),
  step('ask', 12, always, (world) => void world.ask(tenant(world), world.chance.of(ASKABLE), id(world))),
  step(
    'ask elsewhere',
    4,
    ({ faults }) => faults.readsElsewhere,
    (world) => void world.ask('default', world.chance.of(ELSEWHERE), id(world)),
  ),
  step('ask raw', 1, always, (world) => void world.askRaw(tenant(world), 'raw')),
  step('ask and leave', 1, always, (world) => leave(world)),
  step('peek', 1, always, (world) => world.peek(tenant(world), world.chance.of(ASKABLE), id(world))),
  step('ask at a position', 3, ({ faults }) => faults.carriesPositions, askAtPosition),
  step('invalidate', 2.5, ({ faults }) => faults.invalidates, invalidate),
  step(
    'set',
    4,
    ({ faults }) => faults.sets,
    (world) => void readAndSet(world, tenant(world)),
  ),
  step(
    'find',
    3,
    ({ faults }) => faults.sets,
    (world) => void findSet(world, tenant(world)),
  ),
  step('watch', 0.7, ({ faults, watches }) => faults.watches && watches.length < 4, watch),
  step(
    'stop a watch',
    0.2,
    ({ watches }) => watches.length > 0,
    ({ watches, chance }) => chance.of(watches).stop.abort(),
  ),
  step('settle', 0.2, always, (world) => void world.settle()),
]

/** What may happen to L2, and on the way there. */
const L2_STEPS: readonly Step[] = [
  step(
    'l2',
    14,
    ({ l2 }) => l2 !== undefined && l2.parked > 0,
    ({ l2 }) => void l2!.step(),
  ),
  step(
    'lose a call to l2',
    0.5,
    ({ l2, faults }) => faults.losesL2Calls && l2 !== undefined && l2.parked > 0,
    ({ l2 }) => l2!.fail(),
  ),
  step('flush l2', 0.3, losesL2, ({ nature }) => nature.l2.flush()),
  step('save l2', 0.6, losesL2, ({ nature }) => nature.l2.save()),
  step('restore l2', 0.5, losesL2, ({ nature }) => nature.l2.restore()),
]

/** How time may pass. Before each, the process has done all that it could. */
const TIME_STEPS: readonly Step[] = [
  step('timer', 5, ({ clock }) => clock.untilNextMs < 1_000, timer),
  step(
    'fire',
    8,
    ({ clock }) => clock.untilNextMs === 0,
    ({ clock }) => void clock.fire(),
  ),
  step('pass', 2, always, ({ clock, chance }) => clock.pass(chance.of([1, 5, 20, 100]))),
  step(
    'freeze',
    0.7,
    ({ faults }) => faults.freezes,
    ({ clock, chance }) => clock.pass(long(chance.real())),
  ),
  step(
    'sleep',
    0.7,
    ({ faults }) => faults.clock === 'sleeps',
    ({ clock, chance }) => clock.sleep(long(chance.real())),
  ),
  step(
    'set back',
    0.7,
    ({ faults }) => faults.clock === 'setBack',
    ({ clock, chance }) => clock.setBack(chance.of([-5_000, 100, 5_000])),
  ),
]

export const STEPS: readonly Step[] = [
  ...SOURCE_STEPS,
  ...LOG_STEPS,
  ...PROCESS_STEPS,
  ...L2_STEPS,
  ...RELAY_STEPS,
  ...AIMED_STEPS,
  ...TIME_STEPS,
  ...SET_STEPS,
  ...MANY_STEPS,
]
const CALM = new Set<Step>([...TIME_STEPS, ...SOURCE_STEPS])

/** Whether all that the process can do at once must be done before the step. */
export function isCalm(next: Step): boolean {
  return CALM.has(next)
}

function always(): boolean {
  return true
}

function losesL2({ faults }: World): boolean {
  return faults.hasL2 && faults.losesL2
}

function hasOpen({ database }: World): boolean {
  return database.openCount > 0
}

function tenant({ chance }: World): string {
  return chance.is(0.8) ? TENANTS[0] : TENANTS[1]
}

function id({ chance }: World): number {
  return chance.is(0.7) ? 1 : 2
}

function long(part: number): number {
  return MAX_SILENCE_MS * (0.5 + part * 4)
}

function setUp(log: World['log'], isUp: boolean): void {
  log.isUp = isUp
}

function write({ database, chance, faults }: World): void {
  const open = chance.below(database.openCount)
  if (chance.is(0.03)) return database.everything(open)
  if (chance.is(0.05) && database.truncate(open, chance.of(TABLES))) return
  // Large where the ring counts them: a transaction of more rows than ringRowsMax.
  for (let rows = chance.is(0.2) ? faults.ringRowsMax + 1 : 1; rows > 0; rows--) {
    const { free } = database
    if (free.length === 0 || rows > ROWS) return
    const row = chance.of(free)
    const state = chance.is(0.15) ? null : { id: (row % IDS) + 1, group: chance.between(1, 2) }
    database.write(open, row, state, chance.is(0.3))
  }
}

function commit(world: World): void {
  const { database, chance, clock, faults } = world
  const committed = database.commit(chance.below(database.openCount), clock.trueMs)
  const rows = [...committed.rows].map(([row, state]) => `${row}=${state ? state.group : 'none'}`).join(' ')
  world.note(() => `commit ${committed.serial} (xid ${committed.xid}) at ${committed.lsn}: ${rows}`)
  if (!faults.hidesCommits || chance.is(0.3)) database.show(committed)
}

function show(world: World): void {
  const hidden = world.chance.of(world.database.hidden)
  world.note(() => `commit ${hidden.serial} becomes visible`)
  world.database.show(hidden)
}

function replay({ source, database, chance }: World): void {
  const later = database.commits.filter((commit) => commit.lsn > source.replayed)
  if (later.length > 0) source.replayed = chance.of(later).lsn
}

/** Time passes until the next timer is due, and it fires. */
function timer({ clock }: World): void {
  clock.pass(clock.untilNextMs)
  clock.fire()
}

function leave(world: World): void {
  const stop = new AbortController()
  const after = world.chance.of([0, 5, 30])
  const timer = world.clock.after(after, () => stop.abort(new Error('The simulation made this reader leave.')))
  const read = world.ask(tenant(world), world.chance.of(ASKABLE), id(world), { signal: stop.signal })
  void read.then(() => timer.cancel())
}

function askAtPosition(world: World): void {
  const { chance, database, faults } = world
  const names = faults.readsElsewhere ? [...ASKABLE, ...ELSEWHERE] : ASKABLE
  void world.ask(tenant(world), chance.of(names), id(world), { minPosition: position(world, database), shows: true })
}

function position({ chance }: World, { commits, end, epoch, epochs }: Database): string {
  const commit = chance.is(0.7) ? commits.at(-1) : chance.of(commits)
  const lsn = chance.is(0.05) ? end + 1_000 : (commit?.lsn ?? end)
  const named = epochs > 1 && chance.is(0.3) ? `sim-${chance.between(1, epochs)}` : epoch
  const text = formatPosition({ epoch: named, lsn })
  return chance.is(0.2) && named === epoch ? text.slice(text.indexOf(':') + 1) : text
}

function invalidate(world: World): void {
  const { chance, faults } = world
  const mode = chance.is(0.5) ? 'drop' : 'expire'
  if (faults.sweeps && chance.is(0.6)) {
    void world.invalidate(tenant(world), [], [], mode, chance.of(WIDE))
    return
  }
  const keys = chance.is(0.6) ? [`${chance.of(ASKABLE)}(${id(world)})`] : []
  const tags = keys.length === 0 || chance.is(0.3) ? [chance.of(['graced', 'author:1', 'author:2', 'raw'])] : []
  if (chance.is(faults.sets ? 0.5 : 0.1)) keys.push('raw')
  void world.invalidate(tenant(world), keys, tags, mode)
}

function watch(world: World): void {
  void world.watch(tenant(world), world.chance.of(WATCHABLE), id(world))
}
