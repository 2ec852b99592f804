import { isRecord } from '../../lib/json.ts'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { type GuestConfigReason, GuestConfigError } from './error.ts'
import { SPEC } from './spec.ts'

/**
 * What becomes of every field of a VMI's spec. Nothing that changes the guest's hardware is left out silently:
 * a field stands here or it is refused.
 */
type Fate =
  /** A device group of this folder reads it, itself or members of it. */
  | 'built'
  /** It shapes no hardware, or somebody else sees to it: the scheduler, the worker, the controller. */
  | 'elsewhere'
  /** Not possible here: why, and what to do. */
  | { reason: GuestConfigReason; say: string }

const unsupported = (say: string): Fate => ({ reason: 'UnsupportedDevice', say })
const missing = (say: string): Fate => ({ reason: 'HostResourceMissing', say })

const REMOVE = 'remove the field'
const NO_NETWORK_CLAIMS = unsupported('this node has no networks by resource claims: use pod: {} or multus')
const NO_CLAIMS = unsupported(`this node does not hand out devices by resource claims: ${REMOVE}`)
const NO_PINNING = unsupported(`this node does not give guests CPUs of their own: ${REMOVE}`)
const NO_VFIO = missing('this node has no host devices to give away: remove the device')

/** A path stands for itself and all below it; `[]` is any element of a list. */
export const FIELDS: Readonly<Record<string, Fate>> = {
  accessCredentials: 'elsewhere',
  affinity: 'elsewhere',
  architecture: 'built',
  dnsConfig: 'built',
  dnsPolicy: 'built',
  evictionStrategy: 'elsewhere',
  hostname: 'built',
  livenessProbe: 'elsewhere',
  // The plan has the tap that the worker makes of it.
  'networks[].multus': 'elsewhere',
  'networks[].resourceClaim': NO_NETWORK_CLAIMS,
  networks: 'built',
  nodeSelector: 'elsewhere',
  priorityClassName: 'elsewhere',
  readinessProbe: 'elsewhere',
  resourceClaims: NO_CLAIMS,
  schedulerName: 'elsewhere',
  startStrategy: 'built',
  subdomain: 'elsewhere',
  terminationGracePeriodSeconds: 'elsewhere',
  tolerations: 'elsewhere',
  topologySpreadConstraints: 'elsewhere',
  // No device of the guest: a place for the worker's own use.
  utilityVolumes: 'elsewhere',
  'volumes[].downwardMetrics': unsupported('this node does not write metrics for guests: remove the volume'),
  'volumes[].containerPath': unsupported('there is no container to take a path from: use containerDisk'),
  volumes: 'elsewhere',

  'domain.chassis': 'built',
  'domain.clock': 'built',
  'domain.cpu.cores': 'built',
  'domain.cpu.features': 'built',
  'domain.cpu.maxSockets': 'built',
  'domain.cpu.model': 'built',
  'domain.cpu.sockets': 'built',
  'domain.cpu.threads': 'built',
  'domain.cpu.dedicatedCpuPlacement': NO_PINNING,
  'domain.cpu.isolateEmulatorThread': NO_PINNING,
  'domain.cpu.numa': unsupported(`this node does not show guests its NUMA nodes: ${REMOVE}`),
  'domain.cpu.realtime': NO_PINNING,

  'domain.devices.autoattachGraphicsDevice': 'built',
  'domain.devices.autoattachInputDevice': 'built',
  'domain.devices.autoattachMemBalloon': 'built',
  'domain.devices.autoattachPodInterface': 'built',
  'domain.devices.autoattachSerialConsole': 'built',
  'domain.devices.autoattachVSOCK': 'built',
  'domain.devices.blockMultiQueue': 'built',
  'domain.devices.clientPassthrough': 'built',
  'domain.devices.disableHotplug': 'built',
  // Writes are noted from the first backup on.
  'domain.devices.disks[].changedBlockTracking': 'elsewhere',
  // Told to the guest by its config drive.
  'domain.devices.disks[].tag': 'elsewhere',
  'domain.devices.disks': 'built',
  'domain.devices.downwardMetrics': unsupported(`this node does not write metrics for guests: ${REMOVE}`),
  'domain.devices.filesystems': missing('this node has no virtiofsd to share file systems with: use a disk'),
  'domain.devices.gpus': NO_VFIO,
  'domain.devices.hostDevices': NO_VFIO,
  'domain.devices.inputs': 'built',
  'domain.devices.interfaces[].tag': 'elsewhere',
  // They limit what is forwarded into the guest, and nothing is.
  'domain.devices.interfaces[].ports': 'elsewhere',
  'domain.devices.interfaces[].portRanges': 'elsewhere',
  'domain.devices.interfaces': 'built',
  'domain.devices.logSerialConsole': 'built',
  'domain.devices.networkInterfaceMultiqueue': 'built',
  'domain.devices.panicDevices': 'built',
  'domain.devices.rng': 'built',
  'domain.devices.sound': 'built',
  'domain.devices.tpm': missing(`this node has no swtpm to emulate a TPM with: ${REMOVE}`),
  'domain.devices.useVirtioTransitional': 'built',
  'domain.devices.video': 'built',
  'domain.devices.watchdog': 'built',

  'domain.features': 'built',
  'domain.firmware.acpi': unsupported(`this node does not add ACPI tables to guests: ${REMOVE}`),
  'domain.firmware.bootloader': 'built',
  'domain.firmware.kernelBoot': 'built',
  'domain.firmware.serial': 'built',
  'domain.firmware.uuid': 'built',
  'domain.ioThreads': 'built',
  'domain.ioThreadsPolicy': 'built',
  'domain.launchSecurity.sev': 'built',
  'domain.launchSecurity.snp': missing(`this node knows no SEV-SNP: ${REMOVE}`),
  'domain.launchSecurity.tdx': missing(`this node knows no TDX: ${REMOVE}`),
  // The plan has the concrete machine that it means.
  'domain.machine': 'elsewhere',
  'domain.memory.reservedOverhead.addedOverhead': 'elsewhere',
  'domain.memory': 'built',
  'domain.rebootPolicy': 'built',
  'domain.resources.overcommitGuestOverhead': 'elsewhere',
  'domain.resources': 'built',
}

/**
 * Refuses what nothing here can give the guest, and fields that this version does not know.
 *
 * Throws `GuestConfigError` for the first one.
 */
export function checkFields(spec: VmiSpec): void {
  checkMembers(spec, '', SPEC)
}

function checkMembers(value: object, path: string, at: FieldPath): void {
  for (const [name, member] of Object.entries(value)) {
    checkValue(member, path === '' ? name : `${path}.${name}`, at.child(name))
  }
}

function checkValue(value: unknown, path: string, at: FieldPath): void {
  const fate = Object.hasOwn(FIELDS, path) ? FIELDS[path] : undefined
  if (typeof fate === 'object') {
    if (isAsked(value)) throw new GuestConfigError(fate.reason, at, fate.say)
    return
  }
  const hasMore = Object.keys(FIELDS).some((key) => key.startsWith(`${path}.`) || key.startsWith(`${path}[]`))
  if (hasMore && Array.isArray(value))
    value.forEach((element, index) => checkValue(element, `${path}[]`, at.index(index)))
  else if (hasMore && isRecord(value)) checkMembers(value, path, at)
  else if (fate === undefined && !isBelowKnown(path) && isAsked(value)) {
    throw new GuestConfigError('UnsupportedDevice', at, `this version does not know the field: ${REMOVE}`)
  }
}

/** Whether a path that has a fate stands above this one, such as `volumes` above `volumes[].name`. */
function isBelowKnown(path: string): boolean {
  return Object.keys(FIELDS).some((key) => path.startsWith(`${key}[]`) || path.startsWith(`${key}.`))
}

/** `false`, an empty list, an empty text and a switch that is off ask for nothing. */
function isAsked(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false
  if (Array.isArray(value)) return value.length > 0
  return !(isRecord(value) && value.enabled === false)
}
