import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Of all projects: with one number they share one pool, where some compute while others wait. One more than there are
 * processors, because what has real machines mostly waits; no more than there is memory for.
 */
const maxWorkers = Math.min(availableParallelism() + 1, 8)

/** Tests with machines of their own may be kept waiting for long, by each other. */
const REAL_PARTS = { testTimeout: 240_000, hookTimeout: 240_000, maxWorkers }

/** Mixes the files of all projects evenly, so that what computes runs beside what waits. */
class MixedSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const projects = Map.groupBy(await super.sort(files), ({ project }) => project.name)
    return [...projects.values()]
      .flatMap((own) => own.map((file, index) => ({ file, place: (index + 0.5) / own.length })))
      .sort((left, right) => left.place - right.place)
      .map(({ file }) => file)
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: MixedSequencer },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/virtctl/**', 'test/cluster/**'],
          // A busy machine may be ten times slower than a quiet one.
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers,
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
