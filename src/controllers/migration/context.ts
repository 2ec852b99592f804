import type { Node, PersistentVolumeClaim } from '../../kinds/core.ts'
import type { KubeVirt, Vmi, Vmim } from '../../kinds/kubevirt.ts'
import type { Informer } from '../../store/cache.ts'
import type { NodeWatch } from '../node-watch.ts'
import type { ControllerParts } from '../parts.ts'
import type { GuestMemory } from '../vmi/memory.ts'
import type { Placement } from '../placement/situation.ts'
import type { MigrationDesk } from './desk.ts'
import type { Turns } from './turns.ts'

/** What a pass over the migrations of a VMI reads and may do. */
export interface MigrationContext extends Pick<
  ControllerParts,
  'store' | 'nodes' | 'events' | 'clock' | 'log' | 'config' | 'migrationCertificates'
> {
  /** With the index `node`, see `vmiIndexes`. */
  vmis: Pick<Informer<Vmi>, 'get' | 'by' | 'list'>
  /** With the index `vmi`, see `vmimIndexes`. */
  vmims: Pick<Informer<Vmim>, 'get' | 'by' | 'list'>
  nodeObjects: Pick<Informer<Node>, 'get' | 'list'>
  claims: Pick<Informer<PersistentVolumeClaim>, 'get'>
  kubeVirts: Pick<Informer<KubeVirt>, 'list'>
  watch: NodeWatch
  placement: Placement
  memory: GuestMemory
  turns: Turns
  desk: MigrationDesk
  /** Aborts when the controllers stop. */
  signal: AbortSignal
  /** Asks for another pass over this VMI's migrations. */
  again: (delayMs: number) => void
}
