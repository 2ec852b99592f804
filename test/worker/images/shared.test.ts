import { expect, test } from 'vitest'
import { SharedTasks } from '../../../src/worker/images/shared.ts'

test('those who ask while a task runs share it; those who ask later start anew', async () => {
  const tasks = new SharedTasks<number>()
  let runs = 0
  const gate = Promise.withResolvers<void>()
  const task = async () => {
    runs += 1
    await gate.promise
    return runs
  }
  const both = [tasks.run('a', undefined, task), tasks.run('a', undefined, task)]
  const other = tasks.run('b', undefined, task)
  gate.resolve()
  expect(await Promise.all([...both, other])).toEqual([2, 2, 2])
  expect(await tasks.run('a', undefined, task)).toBe(3)
})

test('a failure reaches all, and the next one tries again', async () => {
  const tasks = new SharedTasks<string>()
  const fail = async () => {
    throw new Error('no luck')
  }
  const results = await Promise.allSettled([tasks.run('a', undefined, fail), tasks.run('a', undefined, fail)])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await tasks.run('a', undefined, async () => 'luck')).toBe('luck')
})

test('the task is ended when the last has gone, and not before', async () => {
  const tasks = new SharedTasks<string>()
  const [first, second] = [new AbortController(), new AbortController()]
  let taskSignal: AbortSignal | undefined
  const task = async (signal: AbortSignal) => {
    taskSignal = signal
    return new Promise<string>(() => {})
  }
  const waiting = [tasks.run('a', first.signal, task), tasks.run('a', second.signal, task)]
  first.abort(new Error('first left'))
  await expect(waiting[0]).rejects.toThrow('first left')
  expect(taskSignal?.aborted).toBe(false)
  second.abort(new Error('second left'))
  await expect(waiting[1]).rejects.toThrow('second left')
  expect(taskSignal?.aborted).toBe(true)
  expect(await tasks.run('a', undefined, async () => 'anew')).toBe('anew')
})

test('nothing starts for one who has gone already', async () => {
  const tasks = new SharedTasks<string>()
  const ran: string[] = []
  const task = async () => {
    ran.push('x')
    return 'x'
  }
  await expect(tasks.run('a', AbortSignal.abort(new Error('gone')), task)).rejects.toThrow('gone')
  expect(ran).toEqual([])
})
