/** Queues of work. Source: contract metrics.md, section 5; client-go's `workqueue`. */
import type { WorkQueueOptions } from '../lib/work-queue.ts'
import type { Metrics } from './exposition.ts'

const MS = 1e-3

/** Watches the queue of that name, such as `virt-controller-vm`; nothing where there are no metrics. */
export function watchQueue(metrics: Metrics | undefined, name: string): WorkQueueOptions['watch'] {
  if (!metrics) return undefined
  const labels = { name }
  const adds = metrics.counter('kubevirt_workqueue_adds_total')
  const retries = metrics.counter('kubevirt_workqueue_retries_total')
  const waits = metrics.histogram('kubevirt_workqueue_queue_duration_seconds')
  const works = metrics.histogram('kubevirt_workqueue_work_duration_seconds')
  // A queue that has done nothing yet is there.
  adds.add(labels, 0)
  retries.add(labels, 0)
  return (load) => {
    const source = metrics.add({
      source: `queue ${name}`,
      collect() {
        const { waiting, runningMs } = load()
        const sum = runningMs.reduce((total, ms) => total + ms, 0)
        return [
          { name: 'kubevirt_workqueue_depth', labels, value: waiting },
          {
            name: 'kubevirt_workqueue_longest_running_processor_seconds',
            labels,
            value: Math.max(0, ...runningMs) * MS,
          },
          { name: 'kubevirt_workqueue_unfinished_work_seconds', labels, value: sum * MS },
        ]
      },
    })
    return {
      added: () => adds.add(labels),
      retried: () => retries.add(labels),
      started: (waitedMs) => waits.observe(labels, waitedMs * MS),
      ended: (tookMs) => works.observe(labels, tookMs * MS),
      [Symbol.dispose]: () => source[Symbol.dispose](),
    }
  }
}
