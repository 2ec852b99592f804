/** Devices as a preference wants them. Contract: admission-vm.md, VM-PREF-002 … 011. */
import type { PreferenceSpec } from '../kinds/instancetype.ts'
import type { VmiSpec } from '../kinds/kubevirt.ts'

type Preferred = NonNullable<PreferenceSpec['devices']>
type Devices = VmiSpec['domain']['devices']
type Disk = NonNullable<Devices['disks']>[number]
type Interface = NonNullable<Devices['interfaces']>[number]

/** Completes the devices of a guest, in place. */
export function preferDevices(spec: VmiSpec, preferred: Preferred): void {
  preferAutoattach(spec, preferred)
  // A domain may leave its devices out although the types say otherwise.
  const devices = (spec.domain.devices ??= {})
  preferSwitches(devices, preferred)
  preferSingleDevices(devices, preferred)
  for (const disk of devices.disks ?? []) preferDisk(disk, preferred)
  for (const nic of devices.interfaces ?? []) preferInterface(nic, spec, preferred)
  for (const input of devices.inputs ?? []) {
    if (preferred.preferredInputBus) input.bus ||= preferred.preferredInputBus
    if (preferred.preferredInputType) input.type ||= preferred.preferredInputType
  }
  preferPanicDevices(devices, preferred)
}

/**
 * What is attached to a guest without its asking. This comes before a guest gets its default network. Contract:
 * VM-PREF-007.
 */
export function preferAutoattach({ domain }: VmiSpec, preferred: Preferred): void {
  const devices = (domain.devices ??= {})
  setAbsent(devices, 'autoattachGraphicsDevice', preferred.preferredAutoattachGraphicsDevice)
  setAbsent(devices, 'autoattachMemBalloon', preferred.preferredAutoattachMemBalloon)
  setAbsent(devices, 'autoattachPodInterface', preferred.preferredAutoattachPodInterface)
  setAbsent(devices, 'autoattachSerialConsole', preferred.preferredAutoattachSerialConsole)
  setAbsent(devices, 'autoattachInputDevice', preferred.preferredAutoattachInputDevice)
}

/** Contract: VM-PREF-002, 003. */
function preferSwitches(devices: Devices, preferred: Preferred): void {
  setAbsent(devices, 'useVirtioTransitional', preferred.preferredUseVirtioTransitional)
  setAbsent(devices, 'blockMultiQueue', preferred.preferredBlockMultiQueue)
  setAbsent(devices, 'networkInterfaceMultiqueue', preferred.preferredNetworkInterfaceMultiQueue)
  // The one switch in which the preference has the last word.
  if (preferred.preferredDisableHotplug !== undefined)
    devices.disableHotplug = preferred.preferredDisableHotplug
}

/** Contract: VM-PREF-004 … 006. */
function preferSingleDevices(devices: Devices, preferred: Preferred): void {
  const { preferredSoundModel, preferredRng, preferredTPM, preferredVideoType } = preferred
  if (devices.sound && preferredSoundModel) devices.sound.model ||= preferredSoundModel
  if (preferredRng) devices.rng ??= { ...preferredRng }
  if (preferredTPM) devices.tpm ??= { ...preferredTPM }
  if (preferredVideoType === undefined) return
  const video = (devices.video ??= {})
  video.type ||= preferredVideoType
}

/** Contract: VM-PREF-008. */
function preferDisk(disk: Disk, preferred: Preferred): void {
  if (!disk.disk && !disk.lun && !disk.cdrom) disk.disk = {}
  if (disk.cdrom && preferred.preferredCdromBus) disk.cdrom.bus ||= preferred.preferredCdromBus
  if (disk.lun && preferred.preferredLunBus) disk.lun.bus ||= preferred.preferredLunBus
  if (!disk.disk) return
  if (preferred.preferredDiskBus) disk.disk.bus ||= preferred.preferredDiskBus
  if (preferred.preferredDiskBlockSize) disk.blockSize ??= structuredClone(preferred.preferredDiskBlockSize)
  if (preferred.preferredDiskCache) disk.cache ||= preferred.preferredDiskCache
  if (preferred.preferredDiskIO) disk.io ||= preferred.preferredDiskIO
  if (disk.disk.bus === 'virtio') {
    setAbsent(disk, 'dedicatedIOThread', preferred.preferredDiskDedicatedIoThread)
  }
}

const BINDINGS = [
  'bridge',
  'masquerade',
  'sriov',
  'slirp',
  'macvtap',
  'passt',
  'passtBinding',
  'binding',
] as const

/** Contract: VM-PREF-009. */
function preferInterface(nic: Interface, { networks = [] }: VmiSpec, preferred: Preferred): void {
  if (preferred.preferredInterfaceModel) nic.model ||= preferred.preferredInterfaceModel
  if (!preferred.preferredInterfaceMasquerade || BINDINGS.some((binding) => nic[binding])) return
  if (networks.find(({ name }) => name === nic.name)?.pod) nic.masquerade = {}
}

/** Contract: VM-PREF-011. */
function preferPanicDevices(devices: Devices, { preferredPanicDeviceModel: model }: Preferred): void {
  if (model === undefined) return
  const { panicDevices = [] } = devices
  devices.panicDevices = panicDevices.length === 0 ? [{ model }] : panicDevices
  for (const device of panicDevices) device.model ??= model
}

function setAbsent<T extends object, K extends keyof T>(target: T, name: K, value: T[K] | undefined): void {
  if (value !== undefined) target[name] ??= value
}
