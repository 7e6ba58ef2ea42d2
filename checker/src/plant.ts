import type { Sql } from '@tidemark/postgres'
import type { Change, Commit, Dependency, Log, LogListener, Partner, Reading, Source } from 'tidemark'

type SqlSource = Source<{ sql: Sql }>

/** Bugs that the checker must find: what the cache is told of reads or of changes is a little wrong. */
export const BUGS = {
  /** `<=` as `<`. */
  'range ends left out': depending((dependency) => {
    if (dependency.kind !== 'rows' || !dependency.range) return [dependency]
    const { from, to } = dependency.range
    const strict = {
      ...dependency.range,
      ...(from && { from: { ...from, isIncluded: false } }),
      ...(to && { to: { ...to, isIncluded: false } }),
    }
    return [{ ...dependency, range: strict }]
  }),
  'one value of a list forgotten': depending((dependency) =>
    dependency.kind === 'rows' && dependency.columns[0] === 'x' && dependency.values[0] === '2' ? [] : [dependency],
  ),
  'one table of a join forgotten': depending((dependency, before) =>
    'table' in dependency && before.some((each) => 'table' in each && each.table < dependency.table)
      ? []
      : [dependency],
  ),
  'a read column forgotten': depending((dependency) =>
    'reads' in dependency && dependency.reads
      ? [{ ...dependency, reads: dependency.reads.filter((column) => column !== 'x') }]
      : [dependency],
  ),
  'a partner that comes is not seen': pairing((partner) => ({ ...partner, table: 'no.table' })),
  /** Of what its partners need themselves, that it may be there already. */
  'a partner of a partner forgotten': pairing((partner) => ({
    ...partner,
    ...(partner.beyond && {
      beyond: {
        ...partner.beyond,
        partners: partner.beyond.partners.map(({ beyond: _, ...each }) => ({ ...each, keys: new Set<string>() })),
      },
    }),
  })),
  'old values ignored': changing((change) =>
    change.kind === 'row' && change.op === 'update' ? [{ ...change, op: 'insert', old: null }] : [change],
  ),
  'new values ignored': changing((change) =>
    change.kind === 'row' && change.op === 'update' ? [{ ...change, op: 'delete', new: null }] : [change],
  ),
  'deletes ignored': changing((change) => (change.kind === 'row' && change.op === 'delete' ? [] : [change])),
  'TRUNCATE ignored': changing((change) => (change.kind === 'table' && change.reason === 'truncate' ? [] : [change])),
  'definitions ignored': changing((change) =>
    change.kind === 'everything' || (change.kind === 'table' && change.reason === 'ddl') ? [] : [change],
  ),
} satisfies Record<string, (source: SqlSource) => SqlSource>

export type Bug = keyof typeof BUGS

/** @param of  what to depend on instead; `before` are those of the same fill */
function depending(of: (dependency: Dependency, before: readonly Dependency[]) => readonly Dependency[]) {
  return (source: SqlSource): SqlSource =>
    planted(source, {
      context: (reading) => {
        const before: Dependency[] = []
        const depend = (dependency: Dependency): void => {
          const left = of(dependency, before)
          before.push(dependency)
          // An answer without any dependency would not be kept.
          for (const each of left.length > 0 ? left : [NEVER]) reading.depend(each)
        }
        return source.context(readingWith(reading, depend))
      },
    })
}

/** @param of  what to say instead of a partner that a row needs */
function pairing(of: (partner: Partner) => Partner) {
  return (source: SqlSource): SqlSource =>
    planted(source, {
      context: (reading) =>
        source.context(
          readingWith(reading, (dependency, ways) =>
            reading.depend(
              dependency,
              ways?.map((way) => ({ ...way, partners: way.partners.map(of) })),
            ),
          ),
        ),
    })
}

/** The same reading, that hears of other dependencies. */
function readingWith(reading: Reading, depend: Reading['depend']): Reading {
  return new Proxy(reading, {
    get(target, name) {
      if (name === 'depend') return depend
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const NEVER: Dependency = { kind: 'table', table: 'no.table' }

function changing(of: (change: Change) => readonly Change[]) {
  return (source: SqlSource): SqlSource =>
    planted(source, {
      openLog: () => {
        const log = source.openLog()
        return log && wrongLog(log, of)
      },
    })
}

function planted(source: SqlSource, wrong: Partial<SqlSource>): SqlSource {
  return {
    // No follower may be shared with a cache that is told the truth.
    id: `${source.id} planted`,
    context: (reading) => source.context(reading),
    openLog: () => source.openLog(),
    close: () => source.close(),
    ...wrong,
  }
}

function wrongLog(log: Log, of: (change: Change) => readonly Change[]): Log {
  return {
    follow: (listener: LogListener) =>
      log.follow({
        started: (start) => listener.started(start),
        commit: (commit: Commit) => listener.commit({ ...commit, changes: commit.changes.flatMap(of) }),
        progress: (lsn) => listener.progress(lsn),
        lost: (reason) => listener.lost(reason),
        resumed: (resume) => listener.resumed(resume),
      }),
    probe: () => log.probe(),
    nudge: () => log.nudge(),
    append: (change) => log.append(change),
    visible: (position, signal) => log.visible(position, signal),
    status: () => log.status(),
    close: () => log.close(),
  }
}
