import type { Node, PersistentVolumeClaim } from '../../kinds/core.ts'
import type { KubeVirt, Vm, Vmi } from '../../kinds/kubevirt.ts'
import type { Informer } from '../../store/cache.ts'
import type { NodeWatch } from '../node-watch.ts'
import type { ControllerParts } from '../parts.ts'
import type { Awaited } from './awaited.ts'
import type { GuestMemory } from './memory.ts'
import type { Placement } from '../placement/situation.ts'

/** What a pass over a VMI reads and may do. */
export interface VmiContext extends Pick<
  ControllerParts,
  'store' | 'nodes' | 'events' | 'clock' | 'log' | 'config'
> {
  /** With the index `node`, see `vmiIndexes`. */
  vmis: Pick<Informer<Vmi>, 'get' | 'by' | 'list'>
  nodeObjects: Pick<Informer<Node>, 'get' | 'list'>
  vms: Pick<Informer<Vm>, 'get'>
  claims: Pick<Informer<PersistentVolumeClaim>, 'get'>
  kubeVirts: Pick<Informer<KubeVirt>, 'list'>
  watch: NodeWatch
  /** When this leader began, by `monotonicMs`: another one may have heard of nodes until then. */
  startedMs: number
  placement: Placement
  memory: GuestMemory
  awaited: Awaited
  /** Aborts when the controllers stop. */
  signal: AbortSignal
  /** Asks for another pass over this VMI. */
  again: (delayMs: number) => void
}
