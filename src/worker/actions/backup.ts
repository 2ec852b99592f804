import type { TLSSocket } from 'node:tls'
import { badRequest, serviceUnavailable, StatusError } from '../../lib/errors.ts'
import type { BackupCheckpoint, BackupOptions } from '../../rpc/actions.ts'
import {
  connectTo,
  type ExportTarget,
  ExportUnreachable,
  formatTarget,
  keepTarget,
  readExportTarget,
} from '../backup/export-target.ts'
import { hasBitmap, readDisks } from '../backup/nodes.ts'
import type { BackupParts } from '../backup/run.ts'
import { startBackup } from '../backup/start.ts'
import { type BackupRecord, type BackupState, isBackingUp, keepBackup } from '../backup/state.ts'
import { guestFiles } from '../files/paths.ts'
import { type Guest, refuse } from '../guest/guest.ts'
import type { GuestState } from '../guest/state.ts'

/**
 * Begins a backup, ends one, or brings one in pull mode to the server that reads it. By its name it may be repeated.
 * Throws 400 for options that cannot be, 409 where the guest is not ready for it.
 */
export async function backUpGuest(
  guest: Guest,
  options: BackupOptions,
  parts: BackupParts,
  signal?: AbortSignal,
): Promise<void> {
  const { cmd = 'Start' } = options
  if (cmd === 'Export') return exportBackup(guest, options, parts, signal)
  await guest.operate(async (operation) => {
    if (cmd === 'Start') return startBackup(operation, options, parts)
    const { record } = operation
    const { backup } = record.state
    if (!backup?.latest || !isBackingUp(backup)) return undefined
    if (options.backupName !== undefined && backup.latest.name !== options.backupName) return undefined
    return keepBackup(record, { ...backup, latest: { ...backup.latest, aborted: true } })
  })
}

/** Connects first, so that whoever asks is told where that cannot be done. */
async function exportBackup(
  guest: Guest,
  options: BackupOptions,
  parts: BackupParts,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const target = readExportTarget(options)
  const isRunning = await guest.operate(async ({ machine, record }) => {
    requirePull(record.state, options.backupName)
    return machine.exporter.isRunning(target)
  })
  if (isRunning) return
  const first = await connectFor(guest, target, signal)
  try {
    await guest.operate(async ({ machine, record }) => {
      const { backup, latest } = requirePull(record.state, options.backupName)
      await keepTarget(guestFiles(parts.dirs, record.state.guest.uid), target)
      await keepBackup(record, { ...backup, latest: { ...latest, exportTo: formatTarget(target) } })
      machine.exporter.begin(target, first)
    })
  } catch (error) {
    first.destroy()
    throw error
  }
}

async function connectFor(guest: Guest, target: ExportTarget, signal: AbortSignal): Promise<TLSSocket> {
  try {
    return await connectTo(target, signal)
  } catch (error) {
    throw error instanceof ExportUnreachable ? refuse(guest.report.guest, error.message) : error
  }
}

/** The backup that can be read. Throws 400 where no backup in pull mode runs, or not the one of that name. */
function requirePull(
  { backup }: Readonly<GuestState>,
  name: string | undefined,
): { backup: BackupRecord; latest: BackupState } {
  const { latest } = backup ?? {}
  if (
    !backup ||
    !latest ||
    !isBackingUp(backup) ||
    latest.mode !== 'Pull' ||
    latest.aborted ||
    latest.failing
  ) {
    throw badRequest('no backup in pull mode is under way: begin one with cmd Start and mode Pull')
  }
  if (name === undefined || name === latest.name) return { backup, latest }
  throw badRequest(`the backup under way is ${latest.name}, not ${JSON.stringify(name.slice(0, 80))}`)
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
