import { hasGate, type KubeVirtConfiguration } from '../kinds/configuration.ts'
import type { VmiSpec } from '../kinds/kubevirt.ts'
import type { Disk, Volume } from '../kinds/volumes.ts'
import { badRequest } from '../lib/errors.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import type { JsonPatchOperation } from '../store/store.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import type { Call } from './subresource.ts'

/** How volumes are added to VMs: by a request in the VM's status, or in its template. Contract 3.9, "Gates". */
export type HotplugMode = 'requests' | 'declarative'

/** The mode that the feature gates ask for. Throws 400 where they allow none. */
export function hotplugModeOf(configuration: KubeVirtConfiguration): HotplugMode {
  if (hasGate(configuration, 'HotplugVolumes')) return 'requests'
  if (hasGate(configuration, 'DeclarativeHotplugVolumes')) return 'declarative'
  throw badRequest(
    'volumes cannot be changed: the feature gates HotplugVolumes and DeclarativeHotplugVolumes are both off; turn one on in the KubeVirt object',
  )
}

/** Fields of AddVolumeOptions. Source: contract 3.2. */
export const ADD_FIELDS = {
  name: 'string',
  disk: 'object',
  volumeSource: 'object',
  dryRun: 'strings',
} as const satisfies OptionFields

/** Fields of RemoveVolumeOptions. Source: contract 3.2. */
export const REMOVE_FIELDS = { name: 'string', dryRun: 'strings' } as const satisfies OptionFields

/** Where an added volume's data lie; one of the two, or what admission refuses. */
export type HotplugSource = Pick<Volume, 'persistentVolumeClaim' | 'dataVolume'>

/** A volume to add. */
export interface Addition {
  name: string
  disk: Disk
  source: HotplugSource
  dryRun: string[] | undefined
}

/** What the body of an addition says, complete. Throws 400. Source: contract 3.9, steps 2 to 4. */
export function readAddition({ body }: Pick<Call, 'body'>): Addition {
  const { name, disk, volumeSource, dryRun } = decodeOptions(body, ADD_FIELDS)
  if (!name) throw badRequest('AddVolumeOptions requires name to be set')
  if (!disk) throw badRequest('AddVolumeOptions requires disk to not be nil')
  if (!volumeSource) throw badRequest('AddVolumeOptions requires VolumeSource to not be nil')
  const { persistentVolumeClaim, dataVolume } = volumeSource
  return {
    name,
    disk: { ...disk, name },
    source: {
      ...(isRecord(persistentVolumeClaim) && {
        persistentVolumeClaim: { ...unchecked(persistentVolumeClaim), hotpluggable: true },
      }),
      ...(isRecord(dataVolume) && { dataVolume: { ...unchecked(dataVolume), hotpluggable: true } }),
    },
    dryRun,
  }
}

/** What a source holds is checked with the object that it becomes part of, before that is stored. */
function unchecked(source: JsonRecord): { claimName: string; name: string } {
  return source as { claimName: string; name: string }
}

/** The volume that is added: where both sources are given, the claim wins. Source: contract 3.9, "Patches". */
export function volumeOf({ name, source }: Pick<Addition, 'name' | 'source'>): Volume {
  const { persistentVolumeClaim, dataVolume } = source
  if (persistentVolumeClaim) return { name, persistentVolumeClaim }
  return { name, ...(dataVolume && { dataVolume }) }
}

/** What the body of a removal says. Throws 400. */
export function readRemoval({ body }: Pick<Call, 'body'>): { name: string; dryRun: string[] | undefined } {
  const { name, dryRun } = decodeOptions(body, REMOVE_FIELDS)
  if (!name) throw badRequest('RemoveVolumeOptions requires name to be set')
  return { name, dryRun }
}

/** Sets volumes and disks of the spec that stands at `path` to those of `after`, where they differ. */
export function specOperations(path: string, before: VmiSpec, after: VmiSpec): JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = []
  if (after.volumes !== before.volumes) {
    operations.push({ op: 'add', path: `${path}/volumes`, value: after.volumes })
  }
  if (after.domain === before.domain) return operations
  const { devices } = after.domain
  // A domain may lack its devices although the types say otherwise.
  const hasDevices = isRecord(before.domain.devices)
  const at = `${path}/domain/devices`
  operations.push(
    hasDevices
      ? { op: 'add', path: `${at}/disks`, value: devices.disks }
      : { op: 'add', path: at, value: devices },
  )
  return operations
}
