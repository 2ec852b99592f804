import { badRequest, serviceUnavailable, StatusError } from '../../lib/errors.ts'
import type { BackupCheckpoint, BackupOptions } from '../../rpc/actions.ts'
import { hasBitmap, readDisks } from '../backup/nodes.ts'
import { type BackupParts, startBackup } from '../backup/start.ts'
import { isBackingUp, keepBackup } from '../backup/state.ts'
import type { Guest } from '../guest/guest.ts'

/**
 * Begins a backup, or ends one. By its name it may be repeated. Throws 400 for options that cannot be, 409 where the
 * guest is not ready for it.
 */
export async function backUpGuest(guest: Guest, options: BackupOptions, parts: BackupParts): Promise<void> {
  const { cmd = 'Start' } = options
  if (cmd === 'Export') {
    throw badRequest(
      'this node exports nothing by itself: read the images below the targetPath of the backup',
    )
  }
  await guest.operate(async (operation) => {
    if (cmd === 'Start') return startBackup(operation, options, parts)
    const { record } = operation
    const { backup } = record.state
    if (!backup?.latest || !isBackingUp(backup)) return undefined
    if (options.backupName !== undefined && backup.latest.name !== options.backupName) return undefined
    return keepBackup(record, { ...backup, latest: { ...backup.latest, aborted: true } })
  })
}

/**
 * Makes sure that a checkpoint can be continued from. Throws 422 where its bitmaps are gone or not to be relied on:
 * a full backup is due; 503 for every other failure, after which it may be tried again.
 */
export async function redefineCheckpoint(
  guest: Guest,
  { name, volumes = [] }: BackupCheckpoint,
): Promise<void> {
  if (!name) throw badRequest('the checkpoint has no name')
  try {
    await guest.operate(async ({ machine, record }) => {
      const disks = await readDisks(machine, record.state)
      const known = record.state.backup?.checkpoints.find((one) => one.name === name)
      const wanted = volumes.length > 0 ? volumes : (known?.volumes ?? [])
      const isWhole = wanted.every(({ volumeName }) => {
        const disk = disks.find((one) => one.volumeName === volumeName)
        return disk !== undefined && hasBitmap(disk, name)
      })
      if (known && isWhole) return
      const why = known ? 'its bitmaps are not whole' : 'this node does not know it'
      throw new StatusError(
        422,
        'Invalid',
        `the checkpoint ${name} cannot be used: ${why}; make a full backup`,
      )
    })
  } catch (error) {
    if (error instanceof StatusError && error.code === 422) throw error
    throw serviceUnavailable(error instanceof Error ? error.message : String(error))
  }
}
