import type { AdmissionRequest } from '../admission/admission.ts'
import { watchEventLoop } from '../metrics/event-loop.ts'
import { CONTENT_TYPE, openMetrics, type Metrics } from '../metrics/exposition.ts'
import { processSource } from '../metrics/process.ts'
import { openSessionSource, type SessionCounter } from '../metrics/sessions.ts'
import type { FastifyInstance } from 'fastify'
import { registerMetrics } from '../http/metrics-route.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Reading } from '../metrics/reading.ts'
import type { Nodes } from '../rpc/actions.ts'
import type { ObjectReader } from '../store/store.ts'
import { KUBEVIRT_VERSION, readVersion } from './version.ts'

/** A worker gives each of its guests 2 s. */
const NODE_MS = 5_000

/** Metrics that begin with what every process tells of itself. */
export function openRoleMetrics(log: Log): Metrics {
  const metrics = openMetrics({ clock: systemClock, log })
  metrics.add(processSource())
  watchEventLoop(metrics)
  const version = readVersion()
  metrics.add({
    source: 'build',
    collect: () => [{ name: 'virtgate_build_info', labels: { version }, value: 1 }],
  })
  return metrics
}

/** Counts the sessions of an API server; `store` says which VMIs are gone. */
export function countSessions(metrics: Metrics, store: Pick<ObjectReader, 'get'>): SessionCounter {
  const sessions = openSessionSource({
    clock: systemClock,
    exists: async ({ namespace, name }) => (await store.get(VMIS, namespace, name)) !== undefined,
  })
  metrics.add(sessions)
  return sessions
}

/** Counts VMs that are admitted for creation. */
export function countVms(metrics: Metrics): (request: AdmissionRequest) => void {
  const created = metrics.counter('kubevirt_vm_created_by_pod_total')
  return ({ kind, operation, namespace, dryRun }) => {
    if (kind.plural === VMS.plural && operation === 'CREATE' && !dryRun) created.add({ namespace })
  }
}

/** Serves them at the API server's port, and says whether it takes requests. */
export function serveApiMetrics(app: FastifyInstance, metrics: Metrics, isOpen: boolean | undefined): void {
  metrics.add({
    source: 'readiness',
    collect: () => [{ name: 'kubevirt_virt_api_ready_status', labels: {}, value: app.isClosing() ? 0 : 1 }],
  })
  registerMetrics(app, { text: (signal) => metrics.text(signal), contentType: CONTENT_TYPE, isOpen })
}

/** Says whether workers serve, and which version they are. */
export function tellOfWorkers(metrics: Metrics, areReady: () => boolean): void {
  const labels = { goversion: process.version, kubeversion: KUBEVIRT_VERSION }
  metrics.add({
    source: 'worker',
    collect: () => [
      { name: 'kubevirt_virt_handler_ready_status', labels: {}, value: areReady() ? 1 : 0 },
      { name: 'kubevirt_info', labels, value: 1 },
    ],
  })
}

/** Tells what the workers of these nodes say of their guests; one that does not answer is left out. */
export function tellOfNodes(metrics: Metrics, nodes: Pick<Nodes, 'ready' | 'find'>, log: Log): void {
  const read = async (node: string, signal: AbortSignal): Promise<Reading[]> => {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(NODE_MS)])
    return (await nodes.find(node)?.metrics(limited)) ?? []
  }
  metrics.add({
    source: 'nodes',
    async collect(signal) {
      const readings = nodes.ready().map((node) =>
        read(node, signal).catch((error: unknown) => {
          log.warn({ err: error, node }, 'the figures of a node cannot be read')
          return []
        }),
      )
      return (await Promise.all(readings)).flat()
    },
  })
}

/** Says whether this controller leads, and whether it could. */
export function tellOfLead(metrics: Metrics, lead: { isLeading(): boolean; isReady(): boolean }): void {
  metrics.add({
    source: 'leadership',
    collect: () => [
      { name: 'kubevirt_virt_controller_leading_status', labels: {}, value: lead.isLeading() ? 1 : 0 },
      { name: 'kubevirt_virt_controller_ready_status', labels: {}, value: lead.isReady() ? 1 : 0 },
    ],
  })
}
