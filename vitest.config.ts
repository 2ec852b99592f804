import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * Of all projects: with one number they share one pool, where some compute while others wait. Two for each processor,
 * because what has real machines mostly waits; no more than memory is there for.
 */
const maxWorkers = Math.min(2 * availableParallelism(), 8)

/** Tests with machines of their own may be kept waiting for long, by each other. */
const REAL_PARTS = { testTimeout: 240_000, hookTimeout: 240_000, maxWorkers }

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/virtctl/**', 'test/cluster/**'],
          testTimeout: 60_000,
          maxWorkers,
          // Hundreds of short files: to begin each in a process of its own would cost more than many of them.
          isolate: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/virtctl/**/*.test.ts'],
          ...REAL_PARTS,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          ...REAL_PARTS,
        },
      },
    ],
  },
})
