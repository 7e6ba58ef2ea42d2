import { hasAppliedHidden } from './aimed-steps.js'
import { type Step, step } from './step.js'
import type { World } from './world.js'

/** What may happen to the relay, and who leads. */
export const RELAY_STEPS: readonly Step[] = [
  step('the relay catches up', 5, ({ relayed, log }) => relayed?.sink !== undefined && log.isFollowing, catchUp),
  step('relay', 8, hasParked, ({ relayed }) => relayed!.sink!.step()),
  step('forget what waits for the relay', 0.5, hasParked, ({ relayed }) => relayed!.sink!.forget()),
  step(
    'read the relay',
    10,
    ({ relayed }) => relayed?.hasNext === true,
    ({ relayed }) => relayed!.read(),
  ),
  step(
    'take up the relay',
    5,
    ({ relayed }) => relayed?.mayTakeUp === true,
    ({ relayed }) => void relayed!.takeUp(),
  ),
  step(
    'cut the relay',
    0.7,
    ({ relayed }) => relayed?.isReading === true,
    ({ relayed }) => relayed!.cut(),
  ),
  step(
    'begin the relay anew while what it has is hidden',
    8,
    (world) => world.relayed?.isReading === true && hasAppliedHidden(world),
    ({ relayed }) => void relayed!.beginAnew(),
  ),
  step(
    'notice another history',
    3,
    ({ relayed }) => relayed?.isElsewhere === true,
    ({ relayed }) => relayed!.notice(),
  ),
  step(
    'lead',
    0.4,
    ({ relayed, isClosed }) => relayed?.role === 'follower' && !isClosed,
    ({ relayed }) => relayed!.become('leader'),
  ),
  step(
    'follow',
    0.4,
    ({ relayed, isClosed }) => relayed?.role === 'leader' && !isClosed,
    ({ relayed }) => relayed!.become('follower'),
  ),
  step(
    'lose or win the slot',
    0.5,
    ({ relayed }) => relayed?.role === 'leader',
    ({ relayed }) => {
      relayed!.isLeading = !relayed!.isLeading
    },
  ),
  step(
    'acknowledge',
    3,
    ({ relayed, log }) => relayed?.role === 'leader' && relayed.isLeading && log.isFollowing,
    acknowledge,
  ),
  step('trim the relay', 0.3, losesRelay, ({ nature, chance }) => nature.stream.trim(chance.below(3))),
  step('empty the relay', 0.15, losesRelay, ({ nature }) => nature.stream.flush()),
  step('save the relay', 0.4, losesRelay, ({ nature }) => nature.stream.save()),
  step('put the relay back', 0.3, losesRelay, ({ nature }) => nature.stream.restore()),
]

function hasParked({ relayed }: World): boolean {
  return (relayed?.sink?.parked ?? 0) > 0
}

/** Commits are often hidden for longer than it takes to read and relay them. */
function catchUp({ log, relayed }: World): void {
  while (log.isFollowing && log.waiting > 0) log.deliver()
  if (log.isFollowing) log.keepalive()
  while (relayed!.sink && relayed!.sink.parked > 0) relayed!.sink.step(true)
}

function losesRelay({ faults }: World): boolean {
  return faults.losesRelay
}

/** The slot moves up to what can be seen, and mostly no further than what is relayed. */
function acknowledge({ nature, database, core, relayed, chance }: World): void {
  const { epoch } = database
  const hidden = database.hidden[0]
  const before = hidden && (database.commits.findLast(({ lsn }) => lsn < hidden.lsn)?.lsn ?? 0)
  const bounds = [core.follower.tidemark, before ?? Number.POSITIVE_INFINITY]
  if (chance.is(0.7)) bounds.push(relayed!.sink!.writtenTo)
  const lsn = Math.min(...bounds)
  if (core.follower.epoch !== epoch) return
  if (nature.slot?.epoch !== epoch || nature.slot.lsn < lsn) nature.slot = { epoch, lsn }
}
