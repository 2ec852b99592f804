import { access, constants, copyFile, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FieldPath } from '../../lib/field-path.ts'
import { buildArgv, type BuiltArgv } from '../../qemu/argv/index.ts'
import { checkFields } from '../../qemu/argv/fields.ts'
import { invalidConfig, unsupportedDevice } from '../../qemu/argv/error.ts'
import { supportsDirectIo } from '../../qemu/direct-io.ts'
import { findFirmware } from '../../qemu/firmware.ts'
import type { DiskFile, MachinePlan } from '../../qemu/plan.ts'
import { resolveMachineType } from '../../qemu/probe.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import { planTaps } from '../network/bridge/plan.ts'
import type { Tap } from '../network/bridge/tap.ts'
import { pinImages } from '../migration/pinned-images.ts'
import type { WorkerParts } from '../parts.ts'
import type { QemuUser } from '../user.ts'
import type { VolumeContext } from '../volumes/context.ts'
import { makeVolumes } from '../volumes/index.ts'
import { pull } from '../volumes/pull.ts'
import { giveTo } from '../volumes/qemu-img.ts'
import { checkCredentials } from '../volumes/ssh-keys.ts'
import { GuestFailure } from './failure.ts'
import { prepareSev } from './sev.ts'

/** A guest whose files are there and whose command line is known. */
export interface Prepared {
  plan: MachinePlan
  built: BuiltArgv
  user: QemuUser | undefined
  /** Image reference → digest, of all that were taken. */
  digests: Readonly<Record<string, string>>
  /** Cards that are ports of bridges: to be made. */
  taps: Tap[]
}

/** What a guest that comes from another node is made of, beside its spec. */
export interface Arrival {
  /** Concrete. */
  machineType: string
  slots: Record<string, string>
  rootPorts: number
  /** Ids of disks that were added while it ran. */
  plugged: readonly string[]
  /** Image reference → digest that it has to have. */
  images: Record<string, string>
  /** Interface on a bridge → what DHCP servers have given it: it may use no other address here, too. */
  leases: Readonly<Record<string, string[]>>
  makeDisks(context: VolumeContext): Promise<DiskFile[]>
  /** Throws where what was built is not what the guest has. */
  check(built: BuiltArgv): void
}

/** What preparing takes besides the worker's parts. */
export interface PrepareOptions {
  files: GuestFiles
  slots: Record<string, string>
  signal: AbortSignal
  onProgress: (message: string) => void
  arrival?: Arrival
}

const SPEC = new FieldPath('spec')
const DEFAULT_MACHINE = 'q35'

/**
 * Makes all that a guest needs before its QEMU is started: images, disks, directories. What an earlier try has left
 * is thrown away, as that guest never ran.
 *
 * Throws what `classify` tells apart, and the reason of `signal`.
 */
export async function prepareGuest(
  request: SyncRequest,
  parts: WorkerParts,
  options: PrepareOptions,
): Promise<Prepared> {
  const { vmi } = request
  checkRequest(request, parts)
  const { files, slots, arrival } = options
  const taps = planTaps(request, parts.taps).map((tap) => withLeases(tap, arrival?.leases))
  const machineType = arrival?.machineType ?? machineTypeOf(request, parts)
  const user = parts.userOf(vmi.metadata.uid)
  await makeFolders(files)
  const images = pinImages(parts.images, arrival?.images)
  const context: VolumeContext = { ...parts, ...options, images, request, user }
  const disks = arrival ? await arrival.makeDisks(context) : await makeVolumes(context)
  for (const disk of disks) {
    const supported = await supportsDirectIo(disk.file, ...(disk.backing ? [disk.backing.file] : []))
    // What the guest sees of a disk's cache hangs on it, and stays as it is.
    disk.directIo = disk.directIo === false ? false : supported
  }
  const kernelBoot = await takeKernel(context)
  const efi = await makeEfi(context, machineType)
  const sev = await prepareSev({ ...context, ...parts })
  const vsock = await takeVsock(request, parts)
  const plan: MachinePlan = {
    ...vmi.metadata,
    spec: vmi.spec,
    paths: { runDir: files.runDir, stateDir: files.stateDir },
    disks,
    ...(efi && { efi }),
    ...(kernelBoot && { kernelBoot }),
    accelerator: parts.acceleration.accelerator,
    machineType,
    slots: arrival?.slots ?? slots,
    ...(taps.length > 0 && { taps: buildTapPlan(taps) }),
    ...(sev && { sev }),
    ...(vsock && { vsock }),
    ...(arrival && { rootPorts: arrival.rootPorts, plugged: arrival.plugged, incoming: true }),
    qemuVersion: parts.qemu.version,
    cpuFeatures: parts.qemu.cpuFeatures,
    deviceTypes: parts.qemu.deviceTypes,
  }
  const built = buildArgv(plan, parts.clock.now())
  arrival?.check(built)
  await openRunDir(files, user)
  return { plan, built, user, digests: images.digests, taps }
}

function withLeases(tap: Tap, leases: Arrival['leases'] = {}): Tap {
  const leased = Object.hasOwn(leases, tap.interface) ? (leases[tap.interface] ?? []) : []
  return leased.length > 0 && !tap.addresses ? { ...tap, leased } : tap
}

function buildTapPlan(taps: readonly Tap[]): NonNullable<MachinePlan['taps']> {
  return Object.fromEntries(
    taps.map(({ interface: name, device, mtu }) => [name, { device, ...(mtu && { mtu }) }]),
  )
}

/** What can be refused at once, before anything is pulled. */
function checkRequest(request: SyncRequest, { acceleration, nodeName }: WorkerParts): void {
  const { vmi, config } = request
  checkFields(vmi.spec)
  if (vmi.spec.utilityVolumes?.length) {
    throw unsupportedDevice(SPEC.child('utilityVolumes'), 'this node has no use for them: remove the field')
  }
  checkCredentials(request)
  if (acceleration.accelerator === 'kvm' || config.allowEmulation) return
  const why = `node ${nodeName} cannot use KVM (${acceleration.note})`
  throw new GuestFailure(
    'HypervisorUnavailable',
    'never',
    `${why}: repair it, or allow software emulation in the KubeVirt configuration`,
  )
}

function machineTypeOf({ vmi }: SyncRequest, { qemu }: WorkerParts): string {
  const type = vmi.spec.domain.machine?.type || DEFAULT_MACHINE
  const found = resolveMachineType(qemu, type)
  if (found) return found
  const known = qemu.machines.map(({ name }) => name).join(', ')
  throw unsupportedDevice(
    SPEC.child('domain', 'machine', 'type'),
    `this node has no machine ${type}: use q35, or one of ${known}`,
  )
}

async function makeFolders({ runDir, disks, generated }: GuestFiles): Promise<void> {
  for (const folder of [runDir, disks, generated]) await rm(folder, { recursive: true, force: true })
  // QEMU's user passes through to the files whose names it is told, and can list and add none.
  for (const folder of [disks, generated]) await mkdir(folder, { mode: 0o711 })
}

/** The one directory that QEMU writes to: for its sockets. */
async function openRunDir({ runDir, serialLog }: GuestFiles, user: QemuUser | undefined): Promise<void> {
  await mkdir(runDir, { mode: 0o700 })
  await using folder = await open(runDir, 'r')
  await using log = await open(serialLog, 'a', 0o600)
  if (!user) return
  await folder.chown(user.uid, user.gid)
  await log.chown(user.uid, user.gid)
}

/** A context id for a guest that has vsock, where the host can give it. */
async function takeVsock(
  { vmi }: SyncRequest,
  { cids, vhostVsock }: WorkerParts,
): Promise<MachinePlan['vsock']> {
  if (vmi.spec.domain.devices.autoattachVSOCK !== true) return undefined
  const isThere = await access(vhostVsock, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  // The only descriptor that QEMU is given.
  return isThere ? { cid: cids.take(vmi.metadata.uid), fd: 3 } : undefined
}

async function takeKernel(context: VolumeContext): Promise<MachinePlan['kernelBoot']> {
  const { kernelBoot } = context.request.vmi.spec.domain.firmware ?? {}
  if (!kernelBoot) return undefined
  const { container, kernelArgs } = kernelBoot
  const args = kernelArgs ? { args: kernelArgs } : {}
  if (!container) return args
  const at = SPEC.child('domain', 'firmware', 'kernelBoot', 'container')
  const { kernelPath, initrdPath } = container
  if (!kernelPath && !initrdPath) throw invalidConfig(at, 'names neither kernelPath nor initrdPath')
  const image = await pull(container, at, context)
  const take = async (path: string): Promise<string> =>
    context.images.file(image, path, { signal: context.signal })
  return {
    ...(kernelPath && { kernel: await take(kernelPath) }),
    ...(initrdPath && { initrd: await take(initrdPath) }),
    ...args,
  }
}

/** The EFI that the spec asks for, with variables of the guest's own; where the host has none `buildArgv` says so. */
async function makeEfi(
  { request, files, user }: VolumeContext,
  machineType: string,
): Promise<MachinePlan['efi']> {
  const { efi } = request.vmi.spec.domain.firmware?.bootloader ?? {}
  if (!efi) return undefined
  if (efi.persistent) {
    const at = SPEC.child('domain', 'firmware', 'bootloader', 'efi', 'persistent')
    throw unsupportedDevice(
      at,
      'this node keeps EFI variables only as long as the VMI lives: remove the field',
    )
  }
  const secureBoot = efi.secureBoot !== false
  const found = await findFirmware({ secureBoot, machineType })
  if (!found) return undefined
  const vars = join(files.disks, 'nvram.fd')
  await copyFile(found.varsTemplate, vars)
  await giveTo(vars, user)
  return { code: found.code, vars, secureBoot }
}
