import { expect, test } from 'vitest'
import { openWorkQueue } from '../../src/lib/work-queue.ts'
import { openMetrics } from '../../src/metrics/exposition.ts'
import { watchQueue } from '../../src/metrics/queues.ts'
import { memoryLog } from '../helpers/api.ts'
import { readText, valueOf } from '../helpers/exposition.ts'
import { createFakeClock, turnUntil } from '../helpers/fake-clock.ts'

const LABELS = { name: 'virt-controller-vm' }

test('a queue tells what waits, what is worked on, and for how long', async () => {
  const clock = createFakeClock()
  const metrics = openMetrics({ clock, log: memoryLog() })
  const running: PromiseWithResolvers<void>[] = []
  const queue = openWorkQueue({
    watch: watchQueue(metrics, LABELS.name),
    workers: 2,
    clock,
    run() {
      const work = Promise.withResolvers<void>()
      running.push(work)
      return work.promise
    },
    onError() {},
  })
  const read = async (name: string) => {
    const text = await readText(metrics)
    return valueOf(text, `kubevirt_workqueue_${name}`, LABELS)
  }
  expect(await read('depth')).toBe(0)
  expect(await read('adds_total')).toBe(0)
  for (const key of ['a', 'b', 'c', 'c']) queue.add(key)
  await turnUntil(() => running.length === 2)
  clock.advance(1500)
  expect(await read('depth')).toBe(1)
  expect(await read('adds_total')).toBe(3)
  expect(await read('longest_running_processor_seconds')).toBe(1.5)
  expect(await read('unfinished_work_seconds')).toBe(3)
  running[0]?.reject(new Error('no'))
  running[1]?.resolve()
  await turnUntil(() => running.length === 3)
  expect(await read('retries_total')).toBe(1)
  expect(await read('work_duration_seconds_count')).toBe(2)
  expect(await read('work_duration_seconds_sum')).toBe(3)
  expect(await read('queue_duration_seconds_sum')).toBe(1.5)
  running[2]?.resolve()
  await queue[Symbol.asyncDispose]()
  expect(await read('depth')).toBeUndefined()
})
