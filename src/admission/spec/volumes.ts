import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, missingValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { wholeOf } from '../quantities.ts'
import { cloudInitIsOneSource } from './cloud-init.ts'
import { isContainerPath } from './paths.ts'
import { repeatedNames, type RuleConfig, type Volume } from './rule.ts'

const SOURCES: ReadonlySet<string> = new Set<keyof Volume>([
  'persistentVolumeClaim',
  'sysprep',
  'cloudInitNoCloud',
  'cloudInitConfigDrive',
  'containerDisk',
  'ephemeral',
  'emptyDisk',
  'hostDisk',
  'dataVolume',
  'configMap',
  'secret',
  'downwardAPI',
  'serviceAccount',
  'downwardMetrics',
  'memoryDump',
  'containerPath',
])

/** Volumes are named apart and have one complete source each. Contract: VMI-VOL-001 … 018. */
export function volumesAreWellFormed({ volumes = [] }: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const repeated = new Set(repeatedNames(volumes))
  const causes: Cause[] = []
  for (const [position, volume] of volumes.entries()) {
    const field = at.child('volumes').index(position)
    if (repeated.has(position))
      causes.push(invalidValue(field.child('name'), `another volume is named "${volume.name}"`))
    if (volume.dataVolume && !volume.dataVolume.name)
      causes.push(requiredValue(field.child('name'), 'dataVolume needs a name'))
    const count = Object.keys(volume).filter((name) => SOURCES.has(name)).length
    if (count !== 1) causes.push(invalidValue(field, `has ${count} sources: a volume has one`))
    addAll(causes, cloudInitIsOneSource(volume, field))
    if (volume.downwardMetrics && !config.isGateOn('DownwardMetrics'))
      causes.push(invalidValue(field, gateIsOff('DownwardMetrics')))
    if (volume.hostDisk) addAll(causes, checkHostDisk(volume.hostDisk, field, config))
    addAll(causes, checkNames(volume, field))
  }
  return causes
}

function gateIsOff(gate: string): string {
  return `the feature gate ${gate} is off: turn it on in the KubeVirt object`
}

function checkHostDisk(
  { path, type, capacity }: NonNullable<Volume['hostDisk']>,
  at: FieldPath,
  config: RuleConfig,
): Cause[] {
  const causes: Cause[] = []
  if (!config.isGateOn('HostDisk')) causes.push(invalidValue(at, gateIsOff('HostDisk')))
  const field = at.child('hostDisk')
  if (!path) causes.push(missingValue(field.child('path'), 'say where the file is'))
  if (type !== 'Disk' && type !== 'DiskOrCreate')
    causes.push(invalidValue(field.child('type'), `"${type}" is neither Disk nor DiskOrCreate`))
  if (type === 'Disk' && wholeOf(capacity) !== 0n)
    causes.push(invalidValue(field.child('capacity'), 'only DiskOrCreate takes a capacity'))
  return causes
}

function checkNames({ configMap, secret, serviceAccount }: Volume, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (configMap && !configMap.name)
    causes.push(invalidValue(at.child('configMap', 'name'), 'name the ConfigMap'))
  if (secret && !secret.secretName)
    causes.push(invalidValue(at.child('secret', 'secretName'), 'name the Secret'))
  if (serviceAccount && !serviceAccount.serviceAccountName) {
    causes.push(invalidValue(at.child('serviceAccount', 'serviceAccountName'), 'name the ServiceAccount'))
  }
  return causes
}

/** Some volumes may be there once. Contract: VMI-VOL-019, 020, 021. */
export function specialVolumesAreSingle({ volumes = [] }: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const source of ['serviceAccount', 'downwardMetrics', 'memoryDump'] as const) {
    if (volumes.filter((volume) => volume[source]).length > 1) {
      causes.push(invalidValue(at.child('volumes'), `only one ${source} volume is possible`))
    }
  }
  return causes
}

/** The path of a disk in its image is absolute and clean. Contract: VMI-VOL-022. */
export function containerDiskPathIsPlain({ volumes = [] }: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, { containerDisk }] of volumes.entries()) {
    if (!containerDisk?.path || isContainerPath(containerDisk.path)) continue
    const field = at.child('volumes').index(position).child('containerDisk')
    causes.push(invalidValue(field, `"${containerDisk.path}" is no plain absolute path to a file`))
  }
  return causes
}

/** Utility volumes are plugged into running guests only. Contract: VMI-VOL-023. */
export function utilityVolumesAreAbsent({ utilityVolumes }: VmiSpec, at: FieldPath): Cause[] {
  return utilityVolumes
    ? [invalidValue(at.child('utilityVolumes'), 'these are added to running guests only')]
    : []
}
