import { FakeLog } from 'tidemark/testing'

/**
 * A followed source in memory: the cache fences, proves and judges its currency as it does on PostgreSQL. What a loader
 * depends on is told by the benchmark.
 */
export class BenchSource {
  id = `bench-${process.pid}-${performance.now()}`
  log = new FakeLog()

  openLog() {
    return this.log
  }

  context(reading) {
    return { depend: (dependency) => reading.depend(dependency) }
  }

  async close() {}

  /** One committed update of a row, delivered at once. */
  update(table, old, now) {
    this.log.write([{ kind: 'row', op: 'update', table, old, new: now }])
  }
}

export function rowsOf(table, column, value) {
  return { kind: 'rows', table, columns: [column], values: [String(value)], old: 'members' }
}
