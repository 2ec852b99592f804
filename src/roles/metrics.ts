import { CONTENT_TYPE, openMetrics, type Metrics } from '../metrics/exposition.ts'
import { processSource } from '../metrics/process.ts'
import { openSessionSource, type SessionCounter } from '../metrics/sessions.ts'
import type { FastifyInstance } from 'fastify'
import { registerMetrics } from '../http/metrics-route.ts'
import { VMIS } from '../kinds/table.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { ObjectReader } from '../store/store.ts'
import { readVersion } from './version.ts'

/** Metrics that begin with what every process tells of itself. */
export function openRoleMetrics(log: Log): Metrics {
  const metrics = openMetrics({ clock: systemClock, log })
  metrics.add(processSource())
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

/** Serves them at the API server's port, and says whether it takes requests. */
export function serveApiMetrics(app: FastifyInstance, metrics: Metrics, isOpen: boolean | undefined): void {
  metrics.add({
    source: 'readiness',
    collect: () => [{ name: 'kubevirt_virt_api_ready_status', labels: {}, value: app.isDraining() ? 0 : 1 }],
  })
  registerMetrics(app, { text: (signal) => metrics.text(signal), contentType: CONTENT_TYPE, isOpen })
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
