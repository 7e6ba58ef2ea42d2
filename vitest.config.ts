import { defineConfig } from 'vitest/config'

// Tests run the TypeScript sources of every package, never a stale build.
const conditions = ['source']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'examples/*/test/**/*.test.ts',
      'bench/**/*.test.ts',
      'checker/test/**/*.test.ts',
      'chaos/test/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    // Generous, because machines are shared; each test bounds its own waits.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // More than the machines have cores: most tests wait for servers.
    maxWorkers: 3,
  },
})
