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

/** The rules in the contract's order; the first that yields anything ends the review. */
const RULES: readonly ((change: Change) => Iterable<Cause>)[] = [
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
export function* hotplugIsPossible({ object, old, isKubeVirt, config }: ReviewInput<Vmi>): Iterable<Cause> {
  if (!isKubeVirt || !old || isSameJson(object.spec, old.spec)) return
  const change = { now: object, before: old, isGateOn: (gate: string) => config.isGateOn(gate) }
  for (const rule of RULES) {
    const causes = [...rule(change)]
    yield* causes
    if (causes.length > 0) return
  }
}

/** VMIU-005; CRASH-006. */
function* maxSocketsIsKept({ now, before }: Change): Iterable<Cause> {
  if ((now.spec.domain.cpu?.maxSockets ?? 0) === (before.spec.domain.cpu?.maxSockets ?? 0)) return
  yield invalidValue('', 'CPU topology maxSockets changed: it is set when the guest starts')
}

/** VMIU-006. */
function* maxGuestIsKept({ now, before }: Change): Iterable<Cause> {
  const [most, was] = [now.spec.domain.memory?.maxGuest, before.spec.domain.memory?.maxGuest]
  if (most === undefined || was === undefined || wholeOf(most) === wholeOf(was)) return
  yield invalidValue('', 'memory maxGuest changed: it is set when the guest starts')
}

/** VMIU-007 … 011. */
function* utilityVolumesAreWellFormed({ now, isGateOn }: Change): Iterable<Cause> {
  const { utilityVolumes = [], volumes = [] } = now.spec
  if (utilityVolumes.length > 0 && !isGateOn('UtilityVolumes')) {
    yield invalidValue(UTILITY, 'the feature gate UtilityVolumes is off: turn it on in the KubeVirt object')
    return
  }
  const seen = new Set<string>()
  for (const [position, { name, claimName }] of utilityVolumes.entries()) {
    const field = UTILITY.index(position)
    if (!name) yield requiredValue(field.child('name'), 'name the volume')
    if (seen.has(name)) yield duplicateValue(field.child('name'), `another utility volume is named "${name}"`)
    if (volumes.some((volume) => volume.name === name))
      yield duplicateValue(field.child('name'), `a volume is named "${name}"`)
    if (!claimName) yield requiredValue(field.child('claimName'), 'name the claim')
    seen.add(name)
  }
}

/** VMIU-012. */
function* utilityVolumeIsNoDisk({ now, before }: Change): Iterable<Cause> {
  const { utilityVolumes: was = [] } = before.spec
  const added = (now.spec.utilityVolumes ?? []).find(
    ({ name }) => !was.some((one) => one.name === name) && permanentNamesOf(before).has(name),
  )
  if (added) yield invalidValue('', `utility volume "${added.name}" has the name of a permanent volume`)
}

/** VMIU-013. */
function* utilityVolumeIsKept({ now, before }: Change): Iterable<Cause> {
  const { utilityVolumes: was = [] } = before.spec
  const changed = (now.spec.utilityVolumes ?? []).find((volume) => {
    const old = was.find(({ name }) => name === volume.name)
    return old !== undefined && !isSameJson(old, volume)
  })
  if (changed) yield invalidValue('', `utility volume "${changed.name}" changed: remove it and add it again`)
}

/** VMIU-014. */
function* volumesAndDisksMatch({ now, isGateOn }: Change): Iterable<Cause> {
  const names = new Set(volumesOf(now.spec).flatMap(({ name, memoryDump }) => (memoryDump ? [] : [name])))
  const { disks = [], filesystems = [] } = devicesOf(now.spec)
  const counted = disks.filter(
    ({ name, cdrom }) => !(cdrom && !names.has(name) && isGateOn('DeclarativeHotplugVolumes')),
  )
  const shown = filesystems.length + counted.length
  if (names.size === shown) return
  yield invalidValue(
    '',
    `the number of disks (${shown}) does not equal the number of volumes (${names.size})`,
  )
}

/** VMIU-015. */
function* permanentCountIsKept({ now, before }: Change): Iterable<Cause> {
  const [count, was] = [permanentOf(now.spec, before), permanentOf(before.spec, before)].map(
    ({ length }) => length,
  )
  if (count !== was)
    yield invalidValue('', 'Number of permanent volumes has changed: restart the VM for that')
}

/** VMIU-016. */
function* permanentVolumesAreKept({ now, before }: Change): Iterable<Cause> {
  const was = permanentOf(before.spec, before)
  for (const volume of permanentOf(now.spec, before)) {
    const old = was.find(({ name }) => name === volume.name)
    if (!old) return yield invalidValue('', `permanent volume ${volume.name} was not there before`)
    if (isMigrated(now, volume.name)) continue
    if (!isSameJson(old, volume)) return yield invalidValue('', `permanent volume ${volume.name} changed`)
    if (!isSameDisk(now, before, volume.name)) {
      return yield invalidValue('', `permanent disk ${volume.name} changed`)
    }
  }
}

/** VMIU-017. */
function* pluggedVolumesAreKept({ now, before }: Change): Iterable<Cause> {
  const was = pluggedOf(before.spec, before)
  for (const volume of pluggedOf(now.spec, before)) {
    const { name } = volume
    const old = was.find((one) => one.name === name)
    if (!old) continue
    if (!isSameJson(old, volume) && !isMigrated(now, name)) {
      return yield invalidValue('', `hotplug volume ${name} changed: remove it and add it again`)
    }
    if (volume.memoryDump) continue
    if (!findDisk(now.spec, name)) return yield invalidValue('', `hotplug volume ${name} has no disk`)
    if (!isSameDisk(now, before, name)) return yield invalidValue('', `hotplug disk ${name} changed`)
  }
}

/** VMIU-018. */
function* newVolumeCanBePlugged(change: Change): Iterable<Cause> {
  for (const { name, dataVolume, persistentVolumeClaim, memoryDump } of newVolumes(change)) {
    if (!dataVolume && !persistentVolumeClaim && !memoryDump) {
      return yield invalidValue(
        '',
        `volume ${name} is not a PVC or DataVolume: only these come to a running guest`,
      )
    }
    if (!memoryDump && !findDisk(change.now.spec, name)) {
      return yield invalidValue('', `volume ${name} has no disk`)
    }
  }
}

/** VMIU-019. A medium comes to a drive that is there already. */
function* newDiskCanBePlugged(change: Change): Iterable<Cause> {
  for (const { name, memoryDump } of newVolumes(change)) {
    if (memoryDump || findDisk(change.before.spec, name)) continue
    const causes = [...pluggedDiskIsWellFormed(findDisk(change.now.spec, name), '')]
    yield* causes
    if (causes.length > 0) return
  }
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
