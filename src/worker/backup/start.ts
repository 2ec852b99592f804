import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { badRequest } from '../../lib/errors.ts'
import { scrubPaths } from '../../qemu/log.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { BackupOptions } from '../../rpc/actions.ts'
import { isMigrating } from '../agent/ask.ts'
import { guestFiles } from '../files/paths.ts'
import { type Operation, refuse } from '../guest/guest.ts'
import { NbdServerTaken } from './nbd.ts'
import { type Disk, hasBitmap, namesFor, readDisks } from './nodes.ts'
import { pull } from './pull.ts'
import { push } from './push.ts'
import { quiesced } from './quiesce.ts'
import type { BackupParts, ModeSteps, Run } from './run.ts'
import { type BackupRecord, type BackupState, type Checkpoint, isBackingUp, keepBackup } from './state.ts'
import { checkBackupName, makeTarget } from './target.ts'

/**
 * Begins to copy the guest's disks, all as they are at one moment, or what has changed since a checkpoint, or to let
 * others read them so; from that moment on the guest's writes are noted under the backup's name. It goes on by itself;
 * `tend.ts` sees to its end.
 *
 * Throws 400 for options that cannot be, 409 where the guest is not ready for it. Source: contract worker-qemu 2.13.
 */
export async function startBackup(
  { machine, record }: Operation,
  options: BackupOptions,
  parts: BackupParts,
): Promise<void> {
  const name = checkBackupName(options.backupName)
  const { state } = record
  const backup: BackupRecord = state.backup ?? { checkpoints: [] }
  if (backup.latest?.name === name) return
  if (isBackingUp(backup)) throw refuse(state.guest, `the backup ${backup.latest?.name} is running`)
  if (isMigrating(state)) throw refuse(state.guest, 'VMI is being migrated')
  const disks = await readDisks(machine, state)
  if (disks.length === 0) throw refuse(state.guest, 'it has no disk that it can write to')
  const since = options.incremental ? findCheckpoint(backup, disks, options.incremental) : undefined
  if (backup.checkpoints.some((one) => one.name === name)) {
    throw badRequest(`there is a checkpoint ${name} already: give the backup another name`)
  }
  const isPull = options.mode === 'Pull'
  const place = await placeOf(state.guest.uid, options, parts, name)
  const latest: BackupState = {
    name,
    startMs: parts.clock.now(),
    volumes: disks.map((disk) => volumeOf(disk, place.fileOf, isPull ? since : undefined)),
    ...(isPull && { mode: 'Pull', runDir: machine.place.runDir }),
    ...(isPull && place.folder !== undefined && { folder: place.folder }),
  }
  const run: Run = { machine, record, parts, disks, latest, since }
  await attempt(run, isPull ? pull : push, { backup, place, skipQuiesce: options.skipQuiesce === true })
}

/** Where a backup's files go. */
interface Place {
  /** The directory that was made for it. */
  folder?: string
  fileOf: (volumeName: string) => string
}

interface Attempt {
  backup: BackupRecord
  place: Place
  skipQuiesce: boolean
}

async function attempt(run: Run, steps: ModeSteps, { backup, place, skipQuiesce }: Attempt): Promise<void> {
  const { machine, record, latest } = run
  const begun = { ...backup, latest }
  let runs = false
  try {
    // First of all, so that whatever a crash leaves is known.
    await keepBackup(record, begun)
    await steps.prepare(run)
    await quiesced(run, skipQuiesce, async () => {
      // Where QEMU does not answer it may have begun all the same.
      runs = true
      await machine.command('transaction', { actions: steps.actions(run) }).catch((error: unknown) => {
        runs = !(error instanceof QmpError)
        throw error
      })
    })
    await steps.follow(run)
  } catch (error) {
    const why = scrubPaths(error instanceof Error ? error.message : String(error))
    // Jobs take their time to end: the loop sees to it.
    if (runs) await keepBackup(record, { ...backup, latest: { ...latest, failing: why } })
    else await giveUp(run, steps, { backup, place, why, cause: error })
    const isRefusal = error instanceof QmpError || error instanceof NbdServerTaken
    throw isRefusal ? refuse(record.state.guest, why) : error
  }
}

/** In pull mode they are the guest's own where no directory is named. */
async function placeOf(
  uid: string,
  { mode, targetPath }: BackupOptions,
  parts: BackupParts,
  name: string,
): Promise<Place> {
  if (mode === 'Pull' && !targetPath) {
    const { disks } = guestFiles(parts.dirs, uid)
    await mkdir(disks, { recursive: true, mode: 0o711 })
    return { fileOf: (volumeName) => join(disks, `${namesFor(volumeName).job}.qcow2`) }
  }
  const folder = await makeTarget(targetPath, name, parts.backupDirs)
  return { folder, fileOf: (volumeName) => join(folder, `${volumeName}.qcow2`) }
}

function volumeOf(
  { volumeName, diskTarget, node }: Disk,
  fileOf: Place['fileOf'],
  since: Checkpoint | undefined,
): BackupState['volumes'][number] {
  return {
    volumeName,
    diskTarget,
    node,
    file: fileOf(volumeName),
    ...namesFor(volumeName),
    // No checkpoint has a name with that letter in it.
    ...(since && { bitmap: `since_${since.name}` }),
  }
}

/** The checkpoint, where it still says of each disk what has changed. Throws 400. */
function findCheckpoint({ checkpoints }: BackupRecord, disks: Disk[], name: string): Checkpoint {
  const found = checkpoints.find((one) => one.name === name)
  if (!found) throw badRequest(`there is no checkpoint ${name}: make a full backup`)
  for (const disk of disks) {
    const isKnown = found.volumes.some(({ volumeName }) => volumeName === disk.volumeName)
    if (!isKnown || !hasBitmap(disk, name)) {
      throw badRequest(
        `the checkpoint ${name} does not cover the disk ${disk.volumeName}: make a full backup`,
      )
    }
  }
  return found
}

/** Nothing runs yet: it is as if nobody had asked. */
async function giveUp(
  run: Run,
  steps: ModeSteps,
  { backup, place, why, cause }: Pick<Attempt, 'backup' | 'place'> & { why: string; cause: unknown },
): Promise<void> {
  const { record, latest } = run
  await steps.undo(run, cause)
  if (place.folder !== undefined) await rm(place.folder, { recursive: true, force: true })
  const event = record.withEvents([
    'Warning',
    'BackupError',
    `The backup ${latest.name} did not begin: ${why}`,
  ])
  await keepBackup(record, backup, event)
}
