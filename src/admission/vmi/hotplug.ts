/** What KubeVirt itself may change of a running guest. Contract: admission-vmi.md, section 11, VMIU-005 … 019. */
import type { Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import { duplicateValue, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import { wholeOf } from '../quantities.ts'
import type { ReviewInput } from '../review-input.ts'
import { type Disk, devicesOf, type Volume } from '../spec/rule.ts'
import { pluggedDiskIsWellFormed } from './hotplug-disk.ts'

const UTILITY = new FieldPath('spec.utilityVolumes')

/** What the rules look at. */
interface Change {
  now: Vmi
  before: Vmi
  isGateOn: (gate: string) => boolean
}

/** The rules in the contract's order; the first that finds anything ends the review. */
const RULES: readonly ((change: Change) => Cause[])[] = [
  maxSocketsIsKept,
  maxGuestIsKept,
  utilityVolumesAreWellFormed,
  utilityVolumeIsNoDisk,
  utilityVolumeIsKept,
  volumesAndDisksMatch,
  permanentCountIsKept,
  permanentVolumesAreKept,
  pluggedVolumesAreKept,
  newVolumeCanBePlugged,
  newDiskCanBePlugged,
]

/** A change of the spec by KubeVirt itself is one that a running guest can take. Contract: VMIU-005 … 019. */
export function hotplugIsPossible({ object, old, isKubeVirt, config }: ReviewInput<Vmi>): Cause[] {
  if (!isKubeVirt || !old || isSameJson(object.spec, old.spec)) return []
  const change = { now: object, before: old, isGateOn: (gate: string) => config.isGateOn(gate) }
  for (const rule of RULES) {
    const causes = rule(change)
    if (causes.length > 0) return causes
  }
  return []
}

/** VMIU-005; CRASH-006. */
function maxSocketsIsKept({ now, before }: Change): Cause[] {
  if ((now.spec.domain.cpu?.maxSockets ?? 0) === (before.spec.domain.cpu?.maxSockets ?? 0)) return []
  return [invalidValue('', 'CPU topology maxSockets changed: it is set when the guest starts')]
}

/** VMIU-006. */
function maxGuestIsKept({ now, before }: Change): Cause[] {
  const [most, was] = [now.spec.domain.memory?.maxGuest, before.spec.domain.memory?.maxGuest]
  if (most === undefined || was === undefined || wholeOf(most) === wholeOf(was)) return []
  return [invalidValue('', 'memory maxGuest changed: it is set when the guest starts')]
}

/** VMIU-007 … 011. */
function utilityVolumesAreWellFormed({ now, isGateOn }: Change): Cause[] {
  const { utilityVolumes = [], volumes = [] } = now.spec
  if (utilityVolumes.length > 0 && !isGateOn('UtilityVolumes')) {
    return [
      invalidValue(UTILITY, 'the feature gate UtilityVolumes is off: turn it on in the KubeVirt object'),
    ]
  }
  const causes: Cause[] = []
  const seen = new Set<string>()
  for (const [position, { name, claimName }] of utilityVolumes.entries()) {
    const field = UTILITY.index(position)
    if (!name) causes.push(requiredValue(field.child('name'), 'name the volume'))
    if (seen.has(name))
      causes.push(duplicateValue(field.child('name'), `another utility volume is named "${name}"`))
    if (volumes.some((volume) => volume.name === name))
      causes.push(duplicateValue(field.child('name'), `a volume is named "${name}"`))
    if (!claimName) causes.push(requiredValue(field.child('claimName'), 'name the claim'))
    seen.add(name)
  }
  return causes
}

/** VMIU-012. */
function utilityVolumeIsNoDisk({ now, before }: Change): Cause[] {
  const { utilityVolumes: was = [] } = before.spec
  const added = (now.spec.utilityVolumes ?? []).find(
    ({ name }) => !was.some((one) => one.name === name) && permanentNamesOf(before).has(name),
  )
  return added ? [invalidValue('', `utility volume "${added.name}" has the name of a permanent volume`)] : []
}

/** VMIU-013. */
function utilityVolumeIsKept({ now, before }: Change): Cause[] {
  const { utilityVolumes: was = [] } = before.spec
  const changed = (now.spec.utilityVolumes ?? []).find((volume) => {
    const old = was.find(({ name }) => name === volume.name)
    return old !== undefined && !isSameJson(old, volume)
  })
  return changed
    ? [invalidValue('', `utility volume "${changed.name}" changed: remove it and add it again`)]
    : []
}

/** VMIU-014. */
function volumesAndDisksMatch({ now, isGateOn }: Change): Cause[] {
  const names = new Set(volumesOf(now.spec).flatMap(({ name, memoryDump }) => (memoryDump ? [] : [name])))
  const { disks = [], filesystems = [] } = devicesOf(now.spec)
  const counted = disks.filter(
    ({ name, cdrom }) => !(cdrom && !names.has(name) && isGateOn('DeclarativeHotplugVolumes')),
  )
  const shown = filesystems.length + counted.length
  if (names.size === shown) return []
  return [
    invalidValue('', `the number of disks (${shown}) does not equal the number of volumes (${names.size})`),
  ]
}

/** VMIU-015. */
function permanentCountIsKept({ now, before }: Change): Cause[] {
  const [count, was] = [permanentOf(now.spec, before), permanentOf(before.spec, before)].map(
    ({ length }) => length,
  )
  return count !== was
    ? [invalidValue('', 'Number of permanent volumes has changed: restart the VM for that')]
    : []
}

/** VMIU-016. */
function permanentVolumesAreKept({ now, before }: Change): Cause[] {
  const was = permanentOf(before.spec, before)
  for (const volume of permanentOf(now.spec, before)) {
    const old = was.find(({ name }) => name === volume.name)
    if (!old) return [invalidValue('', `permanent volume ${volume.name} was not there before`)]
    if (isMigrated(now, volume.name)) continue
    if (!isSameJson(old, volume)) return [invalidValue('', `permanent volume ${volume.name} changed`)]
    if (!isSameDisk(now, before, volume.name)) {
      return [invalidValue('', `permanent disk ${volume.name} changed`)]
    }
  }
  return []
}

/** VMIU-017. */
function pluggedVolumesAreKept({ now, before }: Change): Cause[] {
  const was = pluggedOf(before.spec, before)
  for (const volume of pluggedOf(now.spec, before)) {
    const { name } = volume
    const old = was.find((one) => one.name === name)
    if (!old) continue
    if (!isSameJson(old, volume) && !isMigrated(now, name)) {
      return [invalidValue('', `hotplug volume ${name} changed: remove it and add it again`)]
    }
    if (volume.memoryDump) continue
    if (!findDisk(now.spec, name)) return [invalidValue('', `hotplug volume ${name} has no disk`)]
    if (!isSameDisk(now, before, name)) return [invalidValue('', `hotplug disk ${name} changed`)]
  }
  return []
}

/** VMIU-018. */
function newVolumeCanBePlugged(change: Change): Cause[] {
  for (const { name, dataVolume, persistentVolumeClaim, memoryDump } of newVolumes(change)) {
    if (!dataVolume && !persistentVolumeClaim && !memoryDump) {
      return [
        invalidValue('', `volume ${name} is not a PVC or DataVolume: only these come to a running guest`),
      ]
    }
    if (!memoryDump && !findDisk(change.now.spec, name)) {
      return [invalidValue('', `volume ${name} has no disk`)]
    }
  }
  return []
}

/** VMIU-019. A medium comes to a drive that is there already. */
function newDiskCanBePlugged(change: Change): Cause[] {
  for (const { name, memoryDump } of newVolumes(change)) {
    if (memoryDump || findDisk(change.before.spec, name)) continue
    const causes = pluggedDiskIsWellFormed(findDisk(change.now.spec, name), '')
    if (causes.length > 0) return causes
  }
  return []
}

/** Names of the volumes that the guest was started with and keeps. Contract: VMIU-015. */
function permanentNamesOf({ status }: Vmi): Set<string> {
  const entries = status?.volumeStatus ?? []
  return new Set(entries.flatMap(({ name, hotplugVolume }) => (hotplugVolume ? [] : [name])))
}

function permanentOf(spec: VmiSpec, before: Vmi): Volume[] {
  const permanent = permanentNamesOf(before)
  return volumesOf(spec).filter(({ name }) => permanent.has(name))
}

function pluggedOf(spec: VmiSpec, before: Vmi): Volume[] {
  const permanent = permanentNamesOf(before)
  return volumesOf(spec).filter(({ name }) => !permanent.has(name))
}

function newVolumes({ now, before }: Change): Volume[] {
  const was = volumesOf(before.spec)
  return pluggedOf(now.spec, before).filter(({ name }) => !was.some((one) => one.name === name))
}

function isMigrated({ status }: Vmi, name: string): boolean {
  return status?.migratedVolumes?.some(({ volumeName }) => volumeName === name) ?? false
}

function isSameDisk(now: Vmi, before: Vmi, name: string): boolean {
  return isSameJson(findDisk(now.spec, name) ?? {}, findDisk(before.spec, name) ?? {})
}

function findDisk(spec: VmiSpec, name: string): Disk | undefined {
  return devicesOf(spec).disks?.findLast((disk) => disk.name === name)
}

/** Volumes by their names: of two with the same one, the last counts. */
function volumesOf({ volumes = [] }: VmiSpec): Volume[] {
  return [...new Map(volumes.map((volume) => [volume.name, volume])).values()]
}
