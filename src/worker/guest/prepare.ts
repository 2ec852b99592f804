import { copyFile, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FieldPath } from '../../lib/field-path.ts'
import { buildArgv, type BuiltArgv } from '../../qemu/argv/index.ts'
import { checkFields } from '../../qemu/argv/fields.ts'
import { invalidConfig, unsupportedDevice } from '../../qemu/argv/error.ts'
import { supportsDirectIo } from '../../qemu/direct-io.ts'
import { findFirmware } from '../../qemu/firmware.ts'
import type { MachinePlan } from '../../qemu/plan.ts'
import { resolveMachineType } from '../../qemu/probe.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { WorkerParts } from '../parts.ts'
import type { QemuUser } from '../user.ts'
import type { VolumeContext } from '../volumes/context.ts'
import { makeVolumes } from '../volumes/index.ts'
import { pull } from '../volumes/pull.ts'
import { giveTo } from '../volumes/qemu-img.ts'
import { checkCredentials } from '../volumes/ssh-keys.ts'
import { GuestFailure } from './failure.ts'

/** A guest whose files are there and whose command line is known. */
export interface Prepared {
  plan: MachinePlan
  built: BuiltArgv
  user: QemuUser | undefined
}

/** What preparing takes besides the worker's parts. */
export interface PrepareOptions {
  files: GuestFiles
  slots: Record<string, string>
  signal: AbortSignal
  onProgress: (message: string) => void
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
  const { files, slots } = options
  const machineType = machineTypeOf(request, parts)
  const user = parts.userOf(vmi.metadata.uid)
  await makeFolders(files)
  const context: VolumeContext = { ...parts, ...options, request, user }
  const disks = await makeVolumes(context)
  for (const disk of disks) {
    disk.directIo = await supportsDirectIo(disk.file, ...(disk.backing ? [disk.backing.file] : []))
  }
  const kernelBoot = await takeKernel(context)
  const efi = await makeEfi(context, machineType)
  const plan: MachinePlan = {
    ...vmi.metadata,
    spec: vmi.spec,
    paths: { runDir: files.runDir, stateDir: files.stateDir },
    disks,
    ...(efi && { efi }),
    ...(kernelBoot && { kernelBoot }),
    accelerator: parts.acceleration.accelerator,
    machineType,
    slots,
    qemuVersion: parts.qemu.version,
    cpuFeatures: parts.qemu.cpuFeatures,
    deviceTypes: parts.qemu.deviceTypes,
  }
  const built = buildArgv(plan, parts.clock.now())
  await openRunDir(files, user)
  return { plan, built, user }
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
