import type { Event } from '../kinds/core.ts'
import type { Draft } from '../kinds/meta.ts'
import { INSTALL_NAMESPACE, kubeVirtAccount } from '../kinds/service-account.ts'
import { EVENTS } from '../kinds/table.ts'
import { formatTime } from '../lib/clock.ts'
import { hasReason } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'

/** Remembers which tickets were used, for all servers of an installation. */
export interface UsedTickets {
  /** Notes that a ticket is used now, by its id, which is a UUID; `false` where it was before. */
  claim(id: string, nowMs: number): Promise<boolean>
}

/** What remembering takes. */
export interface UsedTicketsOptions {
  store: Pick<Store, 'create'>
  /** Where KubeVirt is installed; `kubevirt` where absent. */
  namespace?: string | undefined
  /** Tells this server from the others. */
  instance: string
}

/**
 * Remembers them as Events in the namespace of the installation: of those that create one of the same name, one
 * succeeds, and Kubernetes takes them away by itself, long after their tickets have expired. Throws what the store
 * throws: whoever cannot be remembered is not let in.
 */
export function rememberUsedTickets({
  store,
  namespace = INSTALL_NAMESPACE,
  instance,
}: UsedTicketsOptions): UsedTickets {
  return {
    async claim(id, nowMs) {
      try {
        await store.create(EVENTS, draftOf(id, namespace, instance, formatTime(nowMs)))
        return true
      } catch (error) {
        if (hasReason(error, 'AlreadyExists')) return false
        throw error
      }
    },
  }
}

function draftOf(id: string, namespace: string, instance: string, now: string): Draft<Event> {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { namespace, name: `ticket.${id}` },
    involvedObject: { apiVersion: 'v1', kind: 'ServiceAccount', ...kubeVirtAccount('apiserver', namespace) },
    type: 'Normal',
    reason: 'TicketUsed',
    message: 'A ticket for a stream was used, and is good for nothing more.',
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
    eventTime: null,
    source: { component: 'virtgate-apiserver' },
    reportingComponent: 'virtgate-apiserver',
    reportingInstance: instance,
  }
}
