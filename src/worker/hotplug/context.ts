import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import type { WorkerParts } from '../parts.ts'
import type { Hardware } from './devices.ts'
import type { VolumeStatuses } from './status.ts'

/** What of a machine is needed to change its hardware. */
export type PlugMachine = Pick<Machine, 'command' | 'unplugs' | 'lastWords'>

/** What tending a guest's volumes takes. */
export interface TendParts {
  machine: PlugMachine
  record: GuestRecord
  parts: Pick<
    WorkerParts,
    'clock' | 'log' | 'claimsDir' | 'images' | 'pulls' | 'qemuImg' | 'hostDiskPrefixes' | 'qemu'
  >
  files: GuestFiles
  request: SyncRequest
  signal: AbortSignal
}

/** One look at a guest's volumes: what is wanted, what there is, and what is to be told of it. */
export interface Look extends TendParts {
  spec: VmiSpec
  hardware: Hardware
  statuses: VolumeStatuses
}
