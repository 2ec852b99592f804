import { expect, test } from 'vitest'
import { openWorkQueue } from '../../src/lib/work-queue.ts'
import type { WorkQueueOptions } from '../../src/lib/work-queue.ts'
import { createFakeClock, turn, turnUntil } from '../helpers/fake-clock.ts'

function setUp(run: WorkQueueOptions['run'], workers = 2) {
  const clock = createFakeClock()
  const errors: [string, number][] = []
  const onError = (key: string, _error: unknown, retryMs: number): void => void errors.push([key, retryMs])
  return { clock, errors, queue: openWorkQueue({ workers, run, clock, onError }) }
}

test('a key asked for several times before its turn is worked on once', async () => {
  const seen: string[] = []
  const { queue } = setUp(async (key) => void seen.push(key))
  for (const key of ['a', 'b', 'a', 'a']) queue.add(key)
  await turn()
  expect(seen).toEqual(['a', 'b'])
})

test('one key never runs twice at once, and runs again when asked for meanwhile', async () => {
  let running = 0
  let most = 0
  let runs = 0
  const gates: (() => void)[] = []
  const { queue } = setUp(async () => {
    most = Math.max(most, ++running)
    runs++
    await new Promise<void>((resolve) => gates.push(resolve))
    running--
  })
  queue.add('a')
  await turnUntil(() => gates.length === 1)
  queue.add('a')
  queue.add('a')
  await turn()
  expect(runs).toBe(1)
  gates[0]?.()
  await turnUntil(() => gates.length === 2)
  gates[1]?.()
  await turn()
  expect({ most, runs }).toEqual({ most: 1, runs: 2 })
})

test('no more keys run at once than there are workers', async () => {
  const gates: (() => void)[] = []
  const { queue } = setUp(() => new Promise<void>((resolve) => gates.push(resolve)), 2)
  for (const key of ['a', 'b', 'c']) queue.add(key)
  await turn()
  expect(gates).toHaveLength(2)
  gates[0]?.()
  await turnUntil(() => gates.length === 3)
})

test('a key whose work fails comes back after growing delays, from the start again after a success', async () => {
  let failing = true
  const { queue, clock, errors } = setUp(async () => {
    if (failing) throw new Error('no')
  })
  queue.add('a')
  for (let i = 0; i < 3; i++) {
    await turnUntil(() => errors.length === i + 1)
    await turn()
    if (i === 2) failing = false
    clock.advance(errors[i]?.[1] ?? 0)
  }
  await turn()
  failing = true
  queue.add('a')
  await turnUntil(() => errors.length === 4)
  expect(errors.map(([, retryMs]) => retryMs)).toEqual([10, 20, 40, 10])
})

test('of two delays the shorter counts, and only once', async () => {
  let runs = 0
  const { queue, clock } = setUp(async () => void runs++)
  queue.addAfter('a', 1000)
  queue.addAfter('a', 100)
  queue.addAfter('a', 500)
  clock.advance(99)
  await turn()
  expect(runs).toBe(0)
  clock.advance(1)
  await turnUntil(() => runs === 1)
  clock.advance(5000)
  await turn()
  expect(runs).toBe(1)
})

test('closing aborts what runs, waits for it, and leaves no timer behind', async () => {
  let ended = false
  const { queue, clock, errors } = setUp(async (_key, signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    await turn(3)
    ended = true
    throw new Error('told to stop')
  })
  queue.add('a')
  queue.addAfter('b', 1000)
  await turn()
  await queue[Symbol.asyncDispose]()
  expect({ ended, errors, timers: clock.pending() }).toEqual({ ended: true, errors: [], timers: 0 })
  queue.add('c')
  queue.addAfter('c', 5)
  expect(clock.pending()).toBe(0)
})
