import type { Chance } from './chance.js'

/** What can go wrong in a run, and how tight its limits are. Each seed draws its own: few at once go deeper than all at once. */
export interface Faults {
  /** Commits are in the log before new snapshots see them. */
  readonly hidesCommits: boolean
  /** The log is lost and taken up anew, in the same epoch. */
  readonly losesLog: boolean
  /** The server comes back from an older copy: a new epoch. */
  readonly restores: boolean
  /** Records name their predecessors, and some are lost on the way. */
  readonly skipsRecords: boolean
  /** The process holds the shared slot: marks in the log say what survives a restart of the server. */
  readonly marks: boolean
  readonly failsProbes: boolean
  readonly failsLoads: boolean
  readonly sourceGoesDown: boolean
  /** Which clock lies: nobody could tell if both did. */
  readonly clock: 'true' | 'sleeps' | 'setBack'
  /** Long pauses in which no timer fires. */
  readonly freezes: boolean
  readonly ringMax: number
  readonly ringRowsMax: number
  readonly maxEntries: number
  /** By table: whether the log carries old values. */
  readonly hasOldValues: ReadonlyMap<string, boolean>
  readonly invalidates: boolean
  /** Invalidations also name patterns, tenants and everything; their sweeps take so many steps at a time, and so many may wait. */
  readonly sweeps: boolean
  readonly sliceSteps: number
  readonly sweepsMax: number
  /** Values are set that no loader computed. */
  readonly sets: boolean
  /** Definitions that read a replica, and a copy that lags. */
  readonly readsElsewhere: boolean
  readonly watches: boolean
  readonly carriesPositions: boolean
  /** Many keys are asked for at once. */
  readonly readsMany: boolean
  /** The cache is closed in the middle. */
  readonly closesEarly: boolean
  readonly steps: number
  readonly processes: number
  /** The processes have followed, and are current, before anything happens. */
  readonly isInUse: boolean
  /** The second and third process run another version of the program. */
  readonly deploys: boolean
  /** The processes share a tier. */
  readonly hasL2: boolean
  readonly losesL2Calls: boolean
  /** It is flushed, or goes back to an old backup. */
  readonly losesL2: boolean
  readonly stampsMax: number
  /** Beyond, further shapes are stamped as their tables. */
  readonly shapesMax: number
  /** One process reads the source's log, and relays it to the others. */
  readonly relays: boolean
  /** What carries the relay is trimmed, emptied, or put back to an earlier state. */
  readonly losesRelay: boolean
}

export function drawFaults(chance: Chance, tables: readonly string[]): Faults {
  const restores = chance.is(0.2)
  // Of several processes one holds the slot, and with L2 nothing survives: alone and without it there is most to see.
  const marks = restores && chance.is(0.5)
  const processes = marks ? 1 : chance.of([1, 1, 1, 2, 3])
  const relays = processes > 1 && chance.is(0.5)
  return {
    restores,
    marks,
    hidesCommits: chance.is(0.8),
    losesLog: chance.is(0.4),
    relays,
    losesRelay: relays && chance.is(0.6),
    skipsRecords: !relays && chance.is(0.15),
    failsProbes: chance.is(0.2),
    failsLoads: chance.is(0.2),
    sourceGoesDown: chance.is(0.15),
    clock: chance.of(['true', 'true', 'sleeps', 'setBack']),
    freezes: chance.is(0.3),
    ringMax: chance.of([1, 2, 4, 1_000, 1_000, 1_000]),
    ringRowsMax: chance.of([1, 2, 1_000]),
    maxEntries: chance.of([1, 2, 3, 5, 1_000, 1_000]),
    hasOldValues: new Map(tables.map((table) => [table, chance.is(0.5)])),
    invalidates: chance.is(0.5),
    readsElsewhere: chance.is(0.25),
    watches: chance.is(0.3),
    carriesPositions: chance.is(0.4),
    closesEarly: chance.is(0.1),
    steps: chance.of([60, 120, 240]) * (processes > 1 ? 2 : 1),
    processes,
    hasL2: processes > 1 || (!marks && chance.is(0.2)),
    losesL2Calls: chance.is(0.3),
    losesL2: chance.is(0.4),
    stampsMax: chance.of([1, 2, 4, 1_000, 1_000]),
    sweeps: chance.is(0.6),
    sliceSteps: chance.of([1, 1, 2, 4, 1_000]),
    sweepsMax: chance.of([1, 2, 1_000, 1_000]),
    shapesMax: chance.of([3, 6, 1_000, 1_000, 1_000]),
    sets: chance.is(0.3),
    deploys: processes > 1 && chance.is(0.3),
    isInUse: (processes > 1 || marks) && chance.is(0.7),
    readsMany: chance.is(0.25),
  }
}
