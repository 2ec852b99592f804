import { expect, test } from 'vitest'
import { Limit } from '../../src/worker/limit.ts'

const never = new AbortController().signal

test('lets so many work at once, in the order in which they came, whether they fail or not', async () => {
  const limit = new Limit(2)
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  const begun: number[] = []
  const tasks = gates.map(({ promise }, index) =>
    limit.run(async () => {
      begun.push(index)
      await promise
    }, never),
  )
  await Promise.resolve()
  expect(begun).toEqual([0, 1])
  gates[1]?.reject(new Error('bad luck'))
  await expect(tasks[1]).rejects.toThrow('bad luck')
  await expect.poll(() => begun).toEqual([0, 1, 2])
  for (const { resolve } of gates) resolve()
  await Promise.all([tasks[0], tasks[2], tasks[3]])
})

test('whoever gives up in the line takes nobody else’s place', async () => {
  const limit = new Limit(1)
  const gate = Promise.withResolvers<void>()
  const first = limit.run(() => gate.promise, never)
  const stop = new AbortController()
  const second = limit.run(async () => 'second', stop.signal)
  const third = limit.run(async () => 'third', never)
  stop.abort(new Error('enough'))
  await expect(second).rejects.toThrow('enough')
  gate.resolve()
  await first
  expect(await third).toBe('third')
  await expect(limit.run(async () => 1, AbortSignal.abort(new Error('late')))).rejects.toThrow('late')
  expect(await limit.run(async () => 'free', never)).toBe('free')
})
