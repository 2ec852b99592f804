import type { FieldPath } from '../../lib/field-path.ts'
import { invalidConfig, unsupportedDevice } from '../../qemu/argv/error.ts'
import { checkName } from '../../qemu/argv/spec.ts'
import type { DiskFile } from '../../qemu/plan.ts'
import { makeDataVolume, makeEphemeral, makePersistentVolumeClaim } from './claim.ts'
import { makeConfigDrive, makeNoCloud } from './cloud-init.ts'
import { makeContainerDisk } from './container-disk.ts'
import { type Disk, type Volume, type VolumeContext, type VolumeMaker, VOLUMES } from './context.ts'
import { makeConfigMap, makeSecret, makeSysprep } from './data-image.ts'
import { makeEmptyDisk } from './empty-disk.ts'
import { makeHostDisk } from './host-disk.ts'

type Makers = { [S in Exclude<keyof Volume, 'name'>]?: VolumeMaker<NonNullable<Volume[S]>> }

/** How the volumes of each source are made. What is not listed is refused. */
const MAKERS = {
  containerDisk: makeContainerDisk,
  emptyDisk: makeEmptyDisk,
  cloudInitNoCloud: makeNoCloud,
  cloudInitConfigDrive: makeConfigDrive,
  configMap: makeConfigMap,
  secret: makeSecret,
  sysprep: makeSysprep,
  hostDisk: makeHostDisk,
  persistentVolumeClaim: makePersistentVolumeClaim,
  dataVolume: makeDataVolume,
  ephemeral: makeEphemeral,
} satisfies Makers

/** Makes the files of all volumes, in the order of the spec. Throws what `guest/failure.ts` tells apart. */
export async function makeVolumes(context: VolumeContext): Promise<DiskFile[]> {
  const { volumes = [], domain } = context.request.vmi.spec
  const made: DiskFile[] = []
  for (const [index, volume] of volumes.entries()) {
    // It is for us to write to, and no disk of the guest.
    if (volume.memoryDump) continue
    const disk = domain.devices.disks?.find(({ name }) => name === volume.name)
    made.push(await makeVolume(volume, disk, VOLUMES.index(index), context))
  }
  return made
}

/** Makes the files of one volume, which `disk` shows the guest. Throws as `makeVolumes`. */
export async function makeVolume(
  volume: Volume,
  disk: Disk | undefined,
  at: FieldPath,
  context: VolumeContext,
): Promise<DiskFile> {
  const sources = Object.keys(volume).filter((key) => key !== 'name')
  const [source] = sources
  if (source === undefined || sources.length > 1) throw invalidConfig(at, 'names not exactly one source')
  const maker = Object.hasOwn(MAKERS, source) ? MAKERS[source as keyof typeof MAKERS] : undefined
  if (!maker) {
    const known = Object.keys(MAKERS).join(', ')
    throw unsupportedDevice(
      at.child(source),
      `this node does not have volumes of this source: use one of ${known}`,
    )
  }
  if (!disk)
    throw invalidConfig(
      at,
      `no disk uses the volume ${volume.name}: add one of that name, or remove the volume`,
    )
  // The name becomes part of file names.
  const name = checkName(volume.name, at.child('name'))
  const place = { name, at: at.child(source), readOnly: isReadOnly(disk), shareable: disk.shareable === true }
  // The maker stands under the name of its source, so that it is the one for this source's type.
  return (maker as VolumeMaker<unknown>)(volume[source as keyof Volume], place, context)
}

function isReadOnly({ cdrom, disk, lun }: Disk): boolean {
  if (cdrom) return cdrom.readonly !== false
  return (disk ?? lun)?.readonly === true
}
