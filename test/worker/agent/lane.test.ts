import { expect, test } from 'vitest'
import { AgentLane, GaveWay } from '../../../src/worker/agent/lane.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

test('one at a time, in the order in which they came, whatever goes wrong', async () => {
  const lane = new AgentLane(createFakeClock())
  const seen: string[] = []
  const first = Promise.withResolvers<void>()
  const tasks = [
    lane.run(async () => {
      seen.push('a')
      await first.promise
      throw new Error('no')
    }),
    lane.run(async () => void seen.push('b')),
  ]
  await Promise.resolve()
  expect(seen).toEqual(['a'])
  first.resolve()
  await expect(tasks[0]).rejects.toThrow('no')
  await tasks[1]
  expect(seen).toEqual(['a', 'b'])
})

test('polling gives way: it is ended when it takes long, and does not begin before what is urgent', async () => {
  const clock = createFakeClock()
  const lane = new AgentLane(clock)
  const idle = lane.runIdle(async (signal) => {
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  })
  idle.catch(() => {})
  await new Promise(setImmediate)
  const urgent = lane.run(async () => 'done')
  const later = lane.runIdle(async () => 'never')
  later.catch(() => {})
  clock.advance(499)
  await new Promise(setImmediate)
  clock.advance(1)
  await expect(idle).rejects.toThrow(GaveWay)
  expect(await urgent).toBe('done')
  expect(clock.pending()).toBe(0)
  expect(await lane.runIdle(async () => 'now')).toBe('now')
})
