/** What every process tells of its work. Source: contract metrics.md, section 5. */
import { counter, gauge, histogram } from './family.ts'

const LATENCIES = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
]
/** From 10 ns on, each ten times the one before. */
const DURATIONS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10]

export const SHARED_FAMILIES = {
  kubevirt_rest_client_requests_total: counter(
    'Calls to the Kubernetes API; the code is <error> where there was no answer',
    'code',
    'method',
    'host',
    'resource',
    'verb',
  ),
  kubevirt_rest_client_request_latency_seconds: histogram(
    'Time until the Kubernetes API answered',
    LATENCIES,
    'verb',
    'url',
  ),
  kubevirt_workqueue_depth: gauge('Keys that wait to be worked on', 'name'),
  kubevirt_workqueue_adds_total: counter('Keys that were asked for', 'name'),
  kubevirt_workqueue_retries_total: counter('Keys that are tried again after a failure', 'name'),
  kubevirt_workqueue_queue_duration_seconds: histogram('Time that keys waited', DURATIONS, 'name'),
  kubevirt_workqueue_work_duration_seconds: histogram('Time that keys were worked on', DURATIONS, 'name'),
  kubevirt_workqueue_longest_running_processor_seconds: gauge(
    'Time that the key is worked on which takes longest',
    'name',
  ),
  kubevirt_workqueue_unfinished_work_seconds: gauge('Time that all keys are worked on so far', 'name'),
  kubevirt_vmi_sync_total: counter('Passes over the VMI', 'namespace', 'name'),
}
