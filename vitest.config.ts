import { defaultExclude, defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Tests run the TypeScript sources of every package, never a stale build.
const conditions = ['source']

/** What takes longest begins first, what waits beside what computes: a run ends with short files, on all workers. */
const LONG = [
  'postgres/test/shared-slot-silence',
  'simulation/planted',
  'checker/test/checker',
  'postgres/test/shared-slot.test',
  'simulation/seeds-odd',
  'server/test/faults.fault',
  'postgres/test/failover-slot',
  'simulation/seeds-even',
  'postgres/test/shared-slot-restart',
  'redis/test/relay-postgres',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = LONG.findIndex((part) => moduleId.includes(part))
      return found === -1 ? LONG.length : found
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

const FILES = [
  'packages/*/src/**/*.test.ts',
  'packages/*/test/**/*.test.ts',
  'examples/*/test/**/*.test.ts',
  'bench/**/*.test.ts',
  'checker/test/**/*.test.ts',
  'chaos/test/**/*.test.ts',
  'test/**/*.test.ts',
]

/** What looks at its process as a whole: its memory, its warnings, what ends it. Each has one of its own. */
const ALONE = [
  'packages/lmdb/test/damage.fault.test.ts',
  'packages/postgres/test/progress.test.ts',
  'packages/postgres/test/streaming.test.ts',
  'packages/tidemark/src/explain.test.ts',
  'packages/tidemark/src/read/timeouts.test.ts',
]

/** Globs, with commas between: what this run leaves out. Not `--exclude`, which projects do not hear. */
const LEFT_OUT = process.env.TIDEMARK_TEST_EXCLUDE?.split(',').filter((glob) => glob !== '') ?? []

export default defineConfig({
  test: {
    // More than the machines have cores: most tests wait for servers.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Files that share a process load the sources once: of short files that is a third of the processor time.
      project('shared', { include: FILES, exclude: ALONE, isolate: false }),
      project('alone', { include: ALONE, exclude: [], isolate: true }),
    ],
  },
})

function project(name: string, test: { include: string[]; exclude: string[]; isolate: boolean }) {
  return {
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      name,
      ...test,
      exclude: [...defaultExclude, ...test.exclude, ...LEFT_OUT],
      // Generous, because machines are shared; each test bounds its own waits.
      testTimeout: 60_000,
      hookTimeout: 120_000,
    },
  }
}
