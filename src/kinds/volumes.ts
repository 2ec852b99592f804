/** Questions about the volumes of a guest that come and go while it runs. Contract: subresources 3.9, 7.8. */
import type { VmiSpec } from './kubevirt.ts'

export type Volume = NonNullable<VmiSpec['volumes']>[number]
export type Disk = NonNullable<VmiSpec['domain']['devices']['disks']>[number]

/** A disk whose spec names no bus is on none of these: admission gives it `sata`. */
const PLUGGABLE_BUSES = ['scsi', 'virtio']

/** Name of the claim that a volume lies on; `undefined` where it lies on none. */
export function claimNameOf({
  persistentVolumeClaim,
  dataVolume,
  ephemeral,
  memoryDump,
}: Volume): string | undefined {
  return (
    persistentVolumeClaim?.claimName ??
    dataVolume?.name ??
    ephemeral?.persistentVolumeClaim?.claimName ??
    memoryDump?.claimName
  )
}

/** Names of all claims that a guest's volumes lie on, each once. */
export function claimNamesOf({ volumes = [] }: Pick<VmiSpec, 'volumes'>): string[] {
  return [...new Set(volumes.flatMap((volume) => claimNameOf(volume) ?? []))]
}

/** Whether a volume may be added to, and removed from, a running guest. */
export function isHotpluggable({ persistentVolumeClaim, dataVolume, memoryDump }: Volume): boolean {
  return persistentVolumeClaim?.hotpluggable ?? dataVolume?.hotpluggable ?? memoryDump?.hotpluggable ?? false
}

/** Whether a disk can be added to a running guest: on a bus that takes part in it, and no drive. */
export function isPluggableDisk({ disk, lun, cdrom }: Disk): boolean {
  if (disk) return PLUGGABLE_BUSES.includes(disk.bus ?? '')
  return !cdrom && lun?.bus === 'scsi'
}

/** Whether a disk is a drive, which may be without a medium. */
export function isDrive({ cdrom }: Disk): boolean {
  return cdrom !== undefined
}

/** Disks of a guest; a domain may leave its devices out although the types say otherwise. */
export function disksOf({ domain }: Pick<VmiSpec, 'domain'>): Disk[] {
  return domain.devices?.disks ?? []
}

/** The disk that shows the guest this volume. */
export function diskOf(spec: Pick<VmiSpec, 'domain'>, name: string): Disk | undefined {
  return disksOf(spec).find((disk) => disk.name === name)
}

/**
 * The spec with a volume and, unless it has one of that name, its disk. A volume of that name that is there already
 * stays as it is.
 */
export function withVolume(spec: VmiSpec, volume: Volume, disk: Disk | undefined): VmiSpec {
  const volumes = spec.volumes ?? []
  const hasVolume = volumes.some(({ name }) => name === volume.name)
  const next = hasVolume ? spec : { ...spec, volumes: [...volumes, volume] }
  if (!disk || hasVolume || diskOf(spec, volume.name)) return next
  return withDisks(next, [...disksOf(spec), disk])
}

/** The spec without a volume and its disk; a drive stays, and is empty then. */
export function withoutVolume(spec: VmiSpec, name: string): VmiSpec {
  const volumes = spec.volumes ?? []
  const disks = disksOf(spec)
  const others = volumes.filter((volume) => volume.name !== name)
  const next = others.length === volumes.length ? spec : { ...spec, volumes: others }
  const kept = disks.filter((disk) => disk.name !== name || isDrive(disk))
  return kept.length === disks.length ? next : withDisks(next, kept)
}

function withDisks(spec: VmiSpec, disks: Disk[]): VmiSpec {
  const { domain } = spec
  return { ...spec, domain: { ...domain, devices: { ...domain.devices, disks } } }
}

/** The volume that a memory dump is written to: named after its claim, and no disk of the guest. */
export function memoryDumpVolume(claimName: string): Volume {
  return { name: claimName, memoryDump: { claimName, hotpluggable: true } }
}
