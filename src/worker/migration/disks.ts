import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { nodeNamesOf } from '../../qemu/argv/index.ts'
import type { DiskFile, MachinePlan } from '../../qemu/plan.ts'
import type { SyncRequest } from '../../rpc/actions.ts'

/**
 * What a disk's file is to another node:
 * `image` an image's disk, read-only; `overlay` writes on top of such a disk; `blank` any other local file that the
 * guest writes to; `generated` made here, read-only; `shared` the same file on all nodes; `local` a file that only
 * this node has and that outlives the guest.
 */
export type DiskRole = 'image' | 'overlay' | 'blank' | 'generated' | 'shared' | 'local'

/** A disk as it was given to QEMU. */
export interface DiskRecord {
  /** Name of the volume; of EFI's variables, `EFI_VARS`. */
  name: string
  node: string
  role: DiskRole
  /** Absolute path on this node. */
  file: string
  format: 'raw' | 'qcow2'
  directIo?: boolean
  /** The image of a claim that an overlay stands on; absolute path on this node. */
  base?: string
}

/** Stands for EFI's variables among the disks; no volume has such a name. */
export const EFI_VARS = '#efi-vars'
const EFI_NODE = 'pf1'

const GENERATED = ['cloudInitNoCloud', 'cloudInitConfigDrive', 'configMap', 'secret', 'sysprep']

/** All disks of a guest, in the order of its volumes. */
export function disksOf(
  { disks, efi }: Pick<MachinePlan, 'disks' | 'efi'>,
  request: Pick<SyncRequest, 'vmi' | 'claims'>,
): DiskRecord[] {
  const records = disks.map((disk) => describeDisk(disk, request))
  if (!efi) return records
  return [...records, { name: EFI_VARS, node: EFI_NODE, role: 'blank', file: efi.vars, format: 'raw' }]
}

/** The disk of one volume. */
export function describeDisk(disk: DiskFile, request: Pick<SyncRequest, 'vmi' | 'claims'>): DiskRecord {
  const { name, file, format, directIo, backing } = disk
  const volume = request.vmi.spec.volumes?.find((one) => one.name === name)
  return {
    name,
    node: nodeNamesOf(name).format,
    role: volume ? roleOf(disk, volume, request) : 'local',
    file,
    format,
    ...(directIo !== undefined && { directIo }),
    ...(volume?.ephemeral && backing && { base: backing.file }),
  }
}

type Volume = NonNullable<VmiSpec['volumes']>[number]

function roleOf({ readOnly }: DiskFile, volume: Volume, request: Pick<SyncRequest, 'claims'>): DiskRole {
  const { containerDisk, emptyDisk, hostDisk, persistentVolumeClaim, dataVolume, ephemeral } = volume
  if (containerDisk) return readOnly ? 'image' : 'overlay'
  if (emptyDisk) return 'blank'
  if (GENERATED.some((source) => source in volume)) return readOnly ? 'generated' : 'blank'
  if (hostDisk) return hostDisk.shared ? 'shared' : 'local'
  const claim = persistentVolumeClaim?.claimName ?? dataVolume?.name
  if (claim !== undefined) return isShared(claim, request, SHARED_MODES) ? 'shared' : 'local'
  const base = ephemeral?.persistentVolumeClaim?.claimName
  if (base === undefined || !isShared(base, request, READ_MODES)) return 'local'
  return readOnly ? 'shared' : 'overlay'
}

/** Access modes with which several nodes may have a claim at once: to write, and to read. */
const SHARED_MODES = ['ReadWriteMany']
const READ_MODES = ['ReadWriteMany', 'ReadOnlyMany']

function isShared(name: string, { claims = {} }: Pick<SyncRequest, 'claims'>, modes: string[]): boolean {
  const { accessModes = [] } = (Object.hasOwn(claims, name) ? claims[name] : undefined) ?? {}
  return accessModes.some((mode) => modes.includes(mode))
}

/** Whether a disk's contents are sent from QEMU to QEMU. */
export function isMirrored({ role }: Pick<DiskRecord, 'role'>): boolean {
  return role === 'overlay' || role === 'blank'
}
