import { expect, test } from 'vitest'
import type { MigrationOptions } from '../../../src/rpc/actions.ts'
import { allowedMs, Convergence, type Decision } from '../../../src/worker/migration/convergence.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const OPTIONS: MigrationOptions = {
  bandwidthBytes: 0,
  completionSecondsPerGiB: 100,
  progressSeconds: 30,
  maxDowntimeMs: 900,
  allowAutoConverge: false,
  allowPostCopy: false,
  allowWorkloadDisruption: false,
}
const START = { startMs: 0, allowedMs: 100_000, limitMs: 300, disrupts: false }

/** Decisions over time of a guest that writes as fast as it is sent, second by second. */
function run(
  options: Partial<MigrationOptions>,
  seconds: number,
  remaining: (second: number) => number = () => 100 * MIB,
  start = START,
): [second: number, Decision][] {
  const convergence = new Convergence({ ...OPTIONS, ...options }, start)
  const decisions: [number, Decision][] = []
  for (let second = 0; second <= seconds; second += 1) {
    const decision = convergence.judge({
      atMs: second * 1000,
      remainingBytes: remaining(second),
      transferredBytes: second * 10 * MIB,
      iteration: second,
      bytesPerSecond: 10 * MIB,
    })
    if (decision.kind !== 'wait') decisions.push([second, decision])
  }
  return decisions
}

test.each([
  [150, 0.5 * GIB, 150_000],
  [150, 2 * GIB, 300_000],
  [0, GIB, Infinity],
])('%d s for each GiB allow %d bytes %d ms: never less than for one', (seconds, bytes, expected) => {
  expect(allowedMs(seconds, bytes)).toBe(expected)
})

test('a migration that comes nearer its end is left alone', () => {
  expect(run({}, 99, (second) => (200 - 2 * second) * MIB)).toEqual([])
})

test('one that sends nothing for the time configured is given up', () => {
  const convergence = new Convergence(OPTIONS, START)
  const sample = { remainingBytes: MIB, transferredBytes: MIB, iteration: 1, bytesPerSecond: 0 }
  expect(convergence.judge({ ...sample, atMs: 0 })).toEqual({ kind: 'wait' })
  expect(convergence.judge({ ...sample, atMs: 29_999 })).toEqual({ kind: 'wait' })
  expect(convergence.judge({ ...sample, atMs: 30_000 })).toMatchObject({
    kind: 'cancel',
    failure: 'no-progress',
  })
})

test('one that stalls for 40 s may take the whole configured downtime, then ends with its time', () => {
  expect(run({}, 100)).toEqual([
    [41, { kind: 'downtime', limitMs: 900, disrupts: false }],
    [100, expect.objectContaining({ kind: 'cancel', failure: 'timeout' })],
  ])
})

test('one that stalls with little left may take half as long again as is configured', () => {
  expect(run({ maxDowntimeMs: 900 }, 45, () => 10 * MIB)).toEqual([
    [41, { kind: 'downtime', limitMs: 1350, disrupts: false }],
  ])
})

test('one that stalls goes on with post-copy where that is allowed', () => {
  const decisions = run({ allowPostCopy: true }, 60)
  expect(decisions.slice(0, 2)).toEqual([
    [41, { kind: 'downtime', limitMs: 900, disrupts: false }],
    [42, { kind: 'postcopy' }],
  ])
})

test('one whose guest may be held up stands still for longer, and has twice the time', () => {
  expect(run({ allowWorkloadDisruption: true }, 200)).toEqual([
    [41, { kind: 'downtime', limitMs: 900, disrupts: false }],
    [42, { kind: 'downtime', limitMs: 2_000_000, disrupts: true }],
    [200, expect.objectContaining({ kind: 'cancel', failure: 'timeout' })],
  ])
})

test('one that a worker before has held up already is not held up twice', () => {
  const start = { ...START, disrupts: true, limitMs: 2_000_000 }
  expect(run({ allowWorkloadDisruption: true }, 200, undefined, start)).toEqual([
    [200, expect.objectContaining({ kind: 'cancel', failure: 'timeout' })],
  ])
})

test('the time allowed for post-copy counts even where the memory comes nearer its end', () => {
  expect(run({ allowPostCopy: true }, 100, (second) => (2000 - 10 * second) * MIB)).toEqual([
    [100, { kind: 'postcopy' }],
  ])
})
