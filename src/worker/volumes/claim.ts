import { constants, type FileHandle, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FieldPath } from '../../lib/field-path.ts'
import { unsupportedDevice } from '../../qemu/argv/error.ts'
import type { DiskFile } from '../../qemu/plan.ts'
import type { GuestClaim } from '../../rpc/actions.ts'
import { errnoOf, unlessMissing } from '../files/errno.ts'
import { GuestFailure } from '../guest/failure.ts'
import type { QemuUser } from '../user.ts'
import type { Volume, VolumeContext, VolumeMaker } from './context.ts'
import { createImage } from './qemu-img.ts'

/** A claim whose directory is on this node. */
export interface OpenClaim {
  claim: GuestClaim
  /** Absolute. */
  dir: string
}

/** The one image in a claim's directory. Source: contract 1.7. */
const IMAGE = 'disk.img'
/** Names of Kubernetes objects: they become parts of paths. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/
/** Disks are made of such blocks. */
const SECTOR_BYTES = 512

type ClaimContext = Pick<VolumeContext, 'request' | 'claimsDir'>

/** Where the image of a claim stands; `undefined` where this node has no claims. */
export function claimImage(name: string, { request, claimsDir }: ClaimContext): string | undefined {
  return claimsDir && join(claimsDir, request.vmi.metadata.namespace, name, IMAGE)
}

/**
 * A claim that files may be kept in. Throws `GuestFailure` where it is not there yet, `UnsupportedDevice` where this
 * node can never use it.
 */
export async function openClaim(
  name: string,
  at: FieldPath,
  { request, claimsDir }: ClaimContext,
): Promise<OpenClaim> {
  const { namespace } = request.vmi.metadata
  const field = String(at)
  if (claimsDir === undefined) {
    throw unsupportedDevice(
      at,
      'this node has no directory of claims: start its worker with --claims, or use another source',
    )
  }
  const { claims = {} } = request
  const claim = Object.hasOwn(claims, name) ? claims[name] : undefined
  if (!claim) throw notReady(`${field}: there is no PersistentVolumeClaim "${name}": create it`)
  if (claim.volumeMode === 'Block') {
    throw unsupportedDevice(at, `the claim ${name} has volumeMode Block: use one with volumeMode Filesystem`)
  }
  if (!NAME.test(name) || !NAME.test(namespace)) throw unsupportedDevice(at, `${name} cannot name a claim`)
  if (!claim.isBound) throw notReady(`${field}: the PersistentVolumeClaim "${name}" is not bound yet`)
  const dir = join(claimsDir, namespace, name)
  const info = await unlessMissing(stat(dir))
  if (!info?.isDirectory()) throw notReady(`${field}: the claim "${name}" is not on this node`)
  return { claim, dir }
}

function notReady(message: string): GuestFailure {
  return new GuestFailure('StorageNotReady', 'always', message)
}

/** Bytes that the image of a claim is to have. */
export function imageBytes({ capacityBytes, requestedBytes }: GuestClaim): number {
  const bytes = capacityBytes ?? requestedBytes
  return bytes - (bytes % SECTOR_BYTES)
}

/** A claim as a disk: the raw image in its directory, made at the size of the claim where there is none. */
export const makePersistentVolumeClaim: VolumeMaker<NonNullable<Volume['persistentVolumeClaim']>> = async (
  { claimName, readOnly = false },
  { name, at, readOnly: isReadOnlyDisk, shareable = false },
  context,
) => {
  const file = await openImage(claimName, at, context, shareable)
  return { name, file, format: 'raw', readOnly: readOnly || isReadOnlyDisk }
}

/** The claim of a DataVolume, which has its name. */
export const makeDataVolume: VolumeMaker<NonNullable<Volume['dataVolume']>> = async (
  source,
  place,
  context,
) => {
  const { name, at, readOnly, shareable = false } = place
  return { name, file: await openImage(source.name, at, context, shareable), format: 'raw', readOnly }
}

/** A disk that begins as the image of a claim; what the guest writes is gone with the guest. */
export const makeEphemeral: VolumeMaker<NonNullable<Volume['ephemeral']>> = async (
  { persistentVolumeClaim },
  { name, at, readOnly },
  context,
): Promise<DiskFile> => {
  const { files, user, qemuImg, signal } = context
  const claimName = persistentVolumeClaim?.claimName ?? ''
  const base = await openImage(claimName, at.child('persistentVolumeClaim'), context, true)
  if (readOnly) return { name, file: base, format: 'raw', readOnly }
  const file = join(files.disks, `${name}.qcow2`)
  const backing = { file: base, format: 'raw' } as const
  const { size: sizeBytes } = await stat(base)
  await createImage(qemuImg, { file, sizeBytes, backing, owner: user }, signal)
  return { name, file, format: 'qcow2', readOnly, backing }
}

async function openImage(
  claimName: string,
  at: FieldPath,
  context: Pick<VolumeContext, 'request' | 'claimsDir' | 'user'>,
  isShared: boolean,
): Promise<string> {
  const { claim, dir } = await openClaim(claimName, at, context)
  const file = join(dir, IMAGE)
  await using handle = await openOrCreate(file)
  const info = await handle.stat()
  if (!info.isFile())
    throw unsupportedDevice(at, `the claim ${claimName} holds no image: ${IMAGE} is no file`)
  // A guest's data never get shorter.
  if (info.size < imageBytes(claim)) await handle.truncate(imageBytes(claim))
  await letIn(handle, context.user, isShared)
  return file
}

async function openOrCreate(file: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW
  try {
    return await open(file, flags | constants.O_CREAT, 0o600)
  } catch (error) {
    if (errnoOf(error) === 'ELOOP') throw notReady('the image of a claim is a link: replace it by a file')
    throw error
  }
}

/** Gives an image to the one guest that has it now; where several may, to the group of all our QEMUs. */
async function letIn(handle: FileHandle, user: QemuUser | undefined, isShared: boolean): Promise<void> {
  if (!user) return
  await handle.chown(isShared ? 0 : user.uid, user.gid)
  await handle.chmod(isShared ? 0o660 : 0o600)
}

/** Makes the image of a claim as large as the claim has become; answers its size in bytes. */
export async function growImage(file: string, claim: GuestClaim): Promise<number> {
  await using handle = await open(file, constants.O_RDWR | constants.O_NOFOLLOW)
  const { size } = await handle.stat()
  const wanted = imageBytes(claim)
  if (size >= wanted) return size
  await handle.truncate(wanted)
  return wanted
}
