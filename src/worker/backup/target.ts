import { constants, mkdir, open, readlink } from 'node:fs/promises'
import { isAbsolute, join, normalize } from 'node:path'
import { badRequest } from '../../lib/errors.ts'
import { errnoOf } from '../files/errno.ts'

/** A backup's name becomes that of a directory and of bitmaps. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/** The name where it can be one. Throws 400. */
export function checkBackupName(name: string | undefined): string {
  if (name !== undefined && NAME.test(name)) return name
  throw badRequest(`backupName is ${JSON.stringify(name?.slice(0, 80))}: write letters, digits, '-' and '.'`)
}

/**
 * Makes the directory of a backup, its own, in a directory that the node's administrator allows. Nothing on the way
 * may be a link (security F1, F2). Throws 400.
 */
export async function makeTarget(
  targetPath: string | undefined,
  name: string,
  allowed: readonly string[],
): Promise<string> {
  if (targetPath === undefined || targetPath === '')
    throw badRequest('targetPath is missing: write the directory that the backup goes to')
  if (!isAbsolute(targetPath) || normalize(targetPath) !== targetPath) {
    throw badRequest(`targetPath is ${JSON.stringify(targetPath.slice(0, 200))}: write a plain absolute path`)
  }
  const isAllowed = allowed.some(
    (dir) => targetPath === dir || targetPath.startsWith(`${dir.replace(/\/$/, '')}/`),
  )
  if (!isAllowed) {
    const where = allowed.join(', ') || 'none at all'
    throw badRequest(`backups go only below directories that the node's administrator allows (${where})`)
  }
  const directory = join(targetPath, name)
  try {
    await using handle = await open(
      targetPath,
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    )
    if ((await readlink(`/proc/self/fd/${handle.fd}`)) !== targetPath.replace(/(.)\/$/, '$1')) {
      throw badRequest('targetPath leads through a link: write the path of the directory itself')
    }
    await mkdir(`/proc/self/fd/${handle.fd}/${name}`, { mode: 0o711 })
    return directory
  } catch (error) {
    throw asRefusal(error, directory)
  }
}

function asRefusal(error: unknown, directory: string): unknown {
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
      return badRequest('targetPath is no directory of this node')
    case 'EEXIST':
      return badRequest(`there is something at ${directory} already: give the backup another name`)
    default:
      return error
  }
}
