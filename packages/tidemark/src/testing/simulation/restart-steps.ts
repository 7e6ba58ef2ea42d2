import { hasFilledSince } from './filled.js'
import { type Step, step } from './step.js'
import type { World } from './world.js'

/** How the server may come back: from an older copy of its files, or as a crash left it. */
export const RESTART_STEPS: readonly Step[] = [
  step('restore', 1.5, ({ nature, faults }) => faults.restores && !nature.logs.some((log) => log.isFollowing), restore),
  step('put back the files under all processes', 0.6, ({ faults }) => faults.restores && faults.processes > 1, putBack),
  step('restart the server', 0.4, ({ log, faults }) => faults.marks && log.isFollowing, restart),
  step(
    'restart it at the mark',
    8,
    (world) => world.faults.marks && world.log.isFollowing && hasFilledSince(world, world.log.marked?.writtenAt),
    restartAtMark,
  ),
  step('crash after something was filled while the mark was under way', 30, hasFilledUnderWay, crashAtMark),
]

function restore(world: World): void {
  const { database, chance } = world
  restoreTo(world, chance.is(0.3) ? database.commits.length : chance.below(database.commits.length + 1))
}

/** The server is stopped for it, so nobody follows. */
function putBack(world: World): void {
  for (const log of world.nature.logs) if (log.isFollowing) log.lose()
  restore(world)
}

function restoreTo(world: World, kept: number): void {
  const { database, clock, source } = world
  database.restore(kept, clock.trueMs)
  source.replayed = Math.min(source.replayed, database.end)
  world.note(() => `restored to ${kept} commits, ${database.epoch}:${database.end}`)
}

function restart(world: World): void {
  const { log, database, chance } = world
  log.lose()
  restoreTo(world, chance.between(0, database.commits.length))
}

/** What a crash takes back, or an older copy of the files lacks, is mostly younger than the newest mark. */
function restartAtMark(world: World): void {
  const { log, database, chance } = world
  const { place } = log.marked!
  log.lose()
  restoreTo(world, chance.is(0.6) ? place : chance.between(place, database.commits.length))
}

function hasFilledUnderWay(world: World): boolean {
  const { writtenAt, deliveredAt } = world.log.marked ?? {}
  return world.faults.marks && world.log.isFollowing && hasFilledSince(world, writtenAt, deliveredAt)
}

/** All behind the mark is gone. */
function crashAtMark(world: World): void {
  const { place } = world.log.marked!
  world.log.lose()
  restoreTo(world, place)
}
