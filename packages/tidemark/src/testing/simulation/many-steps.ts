import { IDS } from './database.js'
import { type Step, step } from './step.js'
import { TENANTS, type World } from './world.js'

/** Those whose reads begin and end in few steps, of one level and of two. */
const ASKED = ['post', 'feed', 'graced', 'patient', 'page'] as const

export const MANY_STEPS: readonly Step[] = [
  step(
    'ask for many',
    12,
    ({ faults }) => faults.readsMany,
    (world) => void askMany(world),
  ),
  step('ask for many, and leave', 2, ({ faults }) => faults.readsMany, leave),
]

/** Each of them is judged as a read of its own. */
function askMany(world: World, signal?: AbortSignal): Promise<unknown> {
  const { chance } = world
  const tenant = chance.is(0.8) ? TENANTS[0] : TENANTS[1]
  const definition = world.definition(tenant, chance.of(ASKED))
  const ids = chance.is(0.5) ? [1, 2] : [chance.between(1, IDS), 1, 2]
  const asked = ids.map((id) => world.asked(tenant, definition.key(id)))
  const answers = (signal ? definition.with({ signal }) : definition).askMany(ids)
  return Promise.all(
    asked.map((each, i) =>
      world.follow(
        each,
        answers.then((all) => all[i]!),
        signal,
      ),
    ),
  )
}

function leave(world: World): void {
  const stop = new AbortController()
  const reads = askMany(world, stop.signal)
  const timer = world.clock.after(world.chance.between(1, 200), () =>
    stop.abort(new Error('The simulation made this reader leave.')),
  )
  void reads.then(() => timer.cancel())
}
