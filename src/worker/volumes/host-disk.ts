import type { Stats } from 'node:fs'
import { type FileHandle, constants, open, readlink } from 'node:fs/promises'
import { dirname, isAbsolute, normalize } from 'node:path'
import type { FieldPath } from '../../lib/field-path.ts'
import { quantityToBytes } from '../../lib/quantity.ts'
import { invalidConfig, resourceMissing, unsupportedDevice } from '../../qemu/argv/error.ts'
import { errnoOf } from '../files/errno.ts'
import type { QemuUser } from '../user.ts'
import type { Volume, VolumeContext, VolumeMaker } from './context.ts'

type Source = NonNullable<Volume['hostDisk']>

/**
 * A file of the host as a disk, always raw. Only below directories that the administrator of the node has named.
 *
 * No part of its path may be a link, so that nobody can lead a guest out of these directories.
 */
export const makeHostDisk: VolumeMaker<Source> = async (source, { name, at, readOnly }, context) => {
  const { path, type } = source
  checkPlace(path, at.child('path'), context)
  if (type !== 'Disk' && type !== 'DiskOrCreate') {
    throw invalidConfig(at.child('type'), `${JSON.stringify(type)} is neither Disk nor DiskOrCreate`)
  }
  await using handle = (await openPlain(path, at)) ?? (await create(source, at, context))
  const info = await handle.stat()
  if (!info.isFile()) throw invalidConfig(at.child('path'), `${path} is not a file`)
  checkAccess(info, { path, at, readOnly }, context.user)
  return { name, file: path, format: 'raw', readOnly }
}

function checkPlace(path: string, at: FieldPath, { hostDiskPrefixes }: VolumeContext): void {
  if (!isAbsolute(path) || normalize(path) !== path || path.endsWith('/')) {
    throw invalidConfig(at, `${JSON.stringify(path)} is no plain absolute path of a file`)
  }
  if (hostDiskPrefixes.some((prefix) => path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`))) return
  const allowed = hostDiskPrefixes.join(', ') || 'none at all'
  throw unsupportedDevice(
    at,
    `files of the host are given to guests only below directories that the node's administrator allows (${allowed}): use a containerDisk, or have the directory allowed`,
  )
}

async function openPlain(path: string, at: FieldPath): Promise<FileHandle | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    await checkNoLink(handle, path, at)
    return handle
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'ELOOP') throw linked(path, at)
    throw error
  }
}

/** What was opened stands just there: no directory on the way was a link. */
async function checkNoLink(handle: FileHandle, path: string, at: FieldPath): Promise<void> {
  if ((await readlink(`/proc/self/fd/${handle.fd}`)) === path) return
  await handle.close()
  throw linked(path, at)
}

function linked(path: string, at: FieldPath): Error {
  return invalidConfig(at.child('path'), `${path} leads through a link: write the path of the file itself`)
}

async function create(
  { path, type, capacity }: Source,
  at: FieldPath,
  { user }: VolumeContext,
): Promise<FileHandle> {
  if (type === 'Disk') {
    throw resourceMissing(
      at.child('path'),
      `there is no file ${path} on this node: make it, or use type DiskOrCreate`,
    )
  }
  if (!capacity)
    throw invalidConfig(at.child('capacity'), 'a disk that has to be made needs a capacity, such as 10Gi')
  await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  await checkNoLink(folder, dirname(path), at)
  const handle = await open(path, 'wx', 0o660)
  await handle.truncate(Number(quantityToBytes(capacity)))
  // It outlives this guest, whose user is its own: the group of all our QEMUs gets in again.
  if (user) await handle.chown(0, user.gid)
  await handle.chmod(0o660)
  return handle
}

/** QEMU would only say "Permission denied". */
function checkAccess(
  { mode, uid, gid }: Stats,
  { path, at, readOnly }: { path: string; at: FieldPath; readOnly: boolean },
  user: QemuUser | undefined,
): void {
  if (!user) return
  const needed = readOnly ? 4 : 6
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0
  if (((mode >> shift) & needed) === needed) return
  throw resourceMissing(
    at.child('path'),
    `QEMU may not use ${path}: run "chgrp ${user.gid} ${path} && chmod g+rw ${path}" on the node`,
  )
}
