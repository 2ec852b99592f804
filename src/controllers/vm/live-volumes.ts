/** Volumes that reach a running guest without a restart: pure questions. Contract 7.3, CT-9 and CT-10. */
import type { Vm, Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import {
  claimNameOf,
  type Disk,
  diskOf,
  disksOf,
  isDrive,
  isHotpluggable,
  isPluggableDisk,
  type Volume,
  withoutVolume,
  withVolume,
} from '../../kinds/volumes.ts'

/** An element of `VM.status.volumeRequests`. */
export type VolumeRequest = NonNullable<NonNullable<Vm['status']>['volumeRequests']>[number]

/** The spec with what is asked for: adding what is there and removing what is not change nothing. */
export function applyRequest(
  spec: VmiSpec,
  { addVolumeOptions, removeVolumeOptions }: VolumeRequest,
): VmiSpec {
  if (removeVolumeOptions) return withoutVolume(spec, removeVolumeOptions.name)
  if (!addVolumeOptions) return spec
  const { name, disk, volumeSource } = addVolumeOptions
  const { persistentVolumeClaim, dataVolume } = volumeSource
  const volume: Volume = persistentVolumeClaim
    ? { name, persistentVolumeClaim: { ...persistentVolumeClaim, hotpluggable: true } }
    : { name, ...(dataVolume && { dataVolume: { ...dataVolume, hotpluggable: true } }) }
  return withVolume(spec, volume, { ...disk, name })
}

/** Whether the spec shows that a request was carried out. Source: contract 7.3, CT-9. */
export function isCarriedOut(
  spec: VmiSpec,
  { addVolumeOptions, removeVolumeOptions }: VolumeRequest,
): boolean {
  const name = addVolumeOptions?.name ?? removeVolumeOptions?.name
  const hasVolume = spec.volumes?.some((volume) => volume.name === name) ?? false
  const disk = disksOf(spec).find((one) => one.name === name)
  if (addVolumeOptions) return hasVolume && disk !== undefined
  return !hasVolume && (disk === undefined || isDrive(disk))
}

/** Volumes that are disks of the guest and may come and go. */
function liveVolumes({ volumes = [] }: Pick<VmiSpec, 'volumes'>): Volume[] {
  return volumes.filter((volume) => isHotpluggable(volume) && !volume.memoryDump)
}

/**
 * The spec of a running guest brought in line with its VM's template, as far as that needs no restart. A volume whose
 * claim has changed goes first and comes again once the guest has let go of it.
 */
export function followTemplate(template: VmiSpec, { spec, status }: Vmi): VmiSpec {
  const wanted = liveVolumes(template)
  const isKept = (volume: Volume): boolean =>
    wanted.some(
      ({ name, ...source }) =>
        name === volume.name && claimNameOf({ name, ...source }) === claimNameOf(volume),
    )
  const left = liveVolumes(spec).filter((volume) => !isKept(volume))
  const without = left.reduce((rest, { name }) => withoutVolume(rest, name), spec)
  const busy = new Set([
    ...(spec.volumes ?? []).map(({ name }) => name),
    ...(status?.volumeStatus ?? []).map(({ name }) => name),
  ])
  return wanted.reduce((rest, volume) => {
    const disk = diskOf(template, volume.name)
    if (!disk || busy.has(volume.name) || !isLiveDisk(disk, spec)) return rest
    return withVolume(rest, volume, disk)
  }, without)
}

/** Whether a disk can come to that guest: plugged in, or as the medium of a drive that it has. */
function isLiveDisk(disk: Disk, guest: VmiSpec): boolean {
  if (!isDrive(disk)) return isPluggableDisk(disk)
  const present = diskOf(guest, disk.name)
  return present !== undefined && isDrive(present)
}

/**
 * Both specs without the volumes, and their disks, that come and go between them while the guest runs: what still
 * differs waits for a restart. A disk that both have is compared.
 */
export function withoutLiveVolumes(before: VmiSpec, after: VmiSpec): [VmiSpec, VmiSpec] {
  return [strip(before, after), strip(after, before)]
}

function strip(spec: VmiSpec, other: VmiSpec): VmiSpec {
  const isLive = (volume: Volume): boolean => {
    if (volume.memoryDump) return true
    const disk = diskOf(spec, volume.name)
    return isHotpluggable(volume) && disk !== undefined && (isPluggableDisk(disk) || isDrive(disk))
  }
  const { volumes = [], domain } = spec
  const live = new Set(volumes.filter(isLive).map(({ name }) => name))
  const disks = disksOf(spec).filter(
    (disk) => !live.has(disk.name) || isDrive(disk) || diskOf(other, disk.name) !== undefined,
  )
  return {
    ...spec,
    volumes: volumes.filter(({ name }) => !live.has(name)),
    domain: { ...domain, devices: { ...domain.devices, disks } },
  }
}
