import { isFinal, type Vmi } from '../kinds/kubevirt.ts'
import { NODES, VMIS } from '../kinds/table.ts'
import { wait, type Clock } from '../lib/clock.ts'
import { hasReason } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'

/** Marks a node that takes no guests only because the server was asked to stop them. */
const DRAINED = 'virtgate.io/drained-at-stop'

/**
 * Shuts all guests down, each within its own grace period, and waits until none is left. The nodes take no new ones
 * meanwhile, so VMs that are to run wait for the next start.
 */
export async function drainNodes(
  store: Store,
  nodeNames: readonly string[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (const name of nodeNames) {
    await store.patch(NODES, '', name, {
      type: 'merge',
      body: { metadata: { annotations: { [DRAINED]: 'true' } }, spec: { unschedulable: true } },
    })
  }
  for (const vmi of await runningGuests(store)) await remove(store, vmi)
  while ((await runningGuests(store)).length > 0) {
    await wait(clock, 100, signal)
    signal.throwIfAborted()
  }
}

/** Lets nodes take guests again that `drainNodes` had closed. */
export async function undrainNodes(store: Store): Promise<void> {
  const { items } = await store.list(NODES)
  for (const { metadata } of items) {
    if (metadata.annotations?.[DRAINED] === undefined) continue
    await store.patch(NODES, '', metadata.name, {
      type: 'merge',
      body: { metadata: { annotations: { [DRAINED]: null } }, spec: { unschedulable: null } },
    })
  }
}

async function runningGuests(store: Store): Promise<Vmi[]> {
  const { items } = await store.list(VMIS)
  return items.filter(({ status }) => status?.nodeName && !isFinal(status.phase))
}

async function remove(store: Store, { metadata }: Vmi): Promise<void> {
  try {
    await store.delete(VMIS, metadata.namespace, metadata.name, { preconditions: { uid: metadata.uid } })
  } catch (error) {
    // Gone already, or replaced: either way this guest is on its way out.
    if (!hasReason(error, 'NotFound', 'Conflict')) throw error
  }
}
