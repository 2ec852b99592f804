import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { badRequest } from '../../lib/errors.ts'
import { scrubPaths } from '../../qemu/log.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { BackupOptions } from '../../rpc/actions.ts'
import { isMigrating } from '../agent/ask.ts'
import { freeze, thaw } from '../agent/freeze.ts'
import { type Operation, refuse } from '../guest/guest.ts'
import type { WorkerParts } from '../parts.ts'
import { createImage } from '../volumes/qemu-img.ts'
import { type Disk, hasBitmap, namesFor, readDisks } from './nodes.ts'
import { type BackupRecord, type BackupState, type Checkpoint, isBackingUp, keepBackup } from './state.ts'
import { checkBackupName, makeTarget } from './target.ts'

/** What a backup takes beside the guest. */
export type BackupParts = Pick<WorkerParts, 'clock' | 'log' | 'qemuImg' | 'backupDirs'>

/** A guest that cannot thaw is thawed by the loop after so long. */
const FROZEN_MS = 15_000

/**
 * Begins to copy the guest's disks, all as they are at one moment, or what has changed since a checkpoint; from that
 * moment on its writes are noted under the backup's name. It goes on by itself; `tend.ts` sees to its end.
 *
 * Throws 400 for options that cannot be, 409 where the guest is not ready for it. Source: contract worker-qemu 2.13.
 */
export async function startBackup(
  { machine, record }: Operation,
  options: BackupOptions,
  parts: BackupParts,
): Promise<void> {
  const name = checkBackupName(options.backupName)
  if (options.mode === 'Pull') {
    throw badRequest('this node has no pull mode: use Push, with a targetPath')
  }
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
  const folder = await makeTarget(options.targetPath, name, parts.backupDirs)
  const latest: BackupState = {
    name,
    startMs: parts.clock.now(),
    volumes: disks.map(({ volumeName, diskTarget, node }) => ({
      volumeName,
      diskTarget,
      node,
      file: join(folder, `${volumeName}.qcow2`),
      ...namesFor(volumeName),
    })),
  }
  const run: Run = { machine, record, parts, disks, latest, since }
  try {
    await makeImages(run)
    await keepBackup(record, { ...backup, latest })
    await addTargets(run)
    await quiesced(run, options.skipQuiesce === true, () => begin(run))
  } catch (error) {
    await giveUp(run, folder, backup, error)
    throw error instanceof QmpError ? refuse(state.guest, scrubPaths(error.message)) : error
  }
}

interface Run extends Operation {
  parts: BackupParts
  disks: Disk[]
  latest: BackupState
  since: Checkpoint | undefined
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

async function makeImages({ record, parts, disks, latest, since }: Run): Promise<void> {
  const { signal } = new AbortController()
  const owner = record.state.launch?.user
  for (const { volumeName, file } of latest.volumes) {
    const sizeBytes = disks.find((disk) => disk.volumeName === volumeName)?.sizeBytes ?? 0
    const before = since?.volumes.find((one) => one.volumeName === volumeName)
    const backing = before && { backing: { file: before.file, format: 'qcow2' as const } }
    await createImage(parts.qemuImg, { file, sizeBytes, owner, ...backing }, signal)
  }
}

async function addTargets({ machine, latest }: Run): Promise<void> {
  for (const { targetNode, file } of latest.volumes) {
    await machine.command('blockdev-add', {
      driver: 'qcow2',
      'node-name': targetNode,
      // What it stands on is never read: whole clusters are copied.
      backing: null,
      file: { driver: 'file', filename: file },
    })
  }
}

/** With the guest's file systems standing still, where it has an agent that can do that. */
async function quiesced(
  { machine, record, parts }: Run,
  isSkipped: boolean,
  act: () => Promise<void>,
): Promise<void> {
  if (isSkipped || !machine.hasAgent || record.state.frozen) return act()
  try {
    await freeze({ machine, record }, { thawAtMs: parts.clock.now() + FROZEN_MS })
  } catch (error) {
    parts.log.warn({ err: error, vmi: record.state.guest }, 'a guest is backed up without being frozen')
    const message = 'The guest agent could not freeze the file systems: the backup is as of a power failure.'
    await record.keep(record.withEvents(['Warning', 'BackupError', message]))
    return act()
  }
  try {
    await act()
  } finally {
    // Where this fails the loop does it when its time has come.
    await thaw({ machine, record }).catch((error: unknown) => {
      parts.log.warn({ err: error, vmi: record.state.guest }, 'a guest does not thaw after its backup began')
    })
  }
}

/** All disks in one step, so that they belong together. */
async function begin({ machine, disks, latest, since }: Run): Promise<void> {
  const actions = latest.volumes.flatMap(({ volumeName, node, targetNode, job }) => {
    const format = disks.find((disk) => disk.volumeName === volumeName)?.format
    const sync = since ? { sync: 'bitmap', bitmap: since.name, 'bitmap-mode': 'never' } : { sync: 'full' }
    return [
      {
        type: 'block-dirty-bitmap-add',
        data: { node, name: latest.name, ...(format === 'qcow2' && { persistent: true }) },
      },
      {
        type: 'blockdev-backup',
        data: { 'job-id': job, device: node, target: targetNode, 'auto-dismiss': false, ...sync },
      },
    ]
  })
  await machine.command('transaction', { actions })
}

async function giveUp(
  { machine, record, latest }: Run,
  folder: string,
  before: BackupRecord,
  cause: unknown,
): Promise<void> {
  for (const { targetNode } of latest.volumes) {
    await machine.command('blockdev-del', { 'node-name': targetNode }).catch(ignoreQmp)
  }
  await rm(folder, { recursive: true, force: true })
  const why = scrubPaths(cause instanceof Error ? cause.message : String(cause))
  const event = record.withEvents([
    'Warning',
    'BackupError',
    `The backup ${latest.name} did not begin: ${why}`,
  ])
  await keepBackup(record, before, event)
}

/** Says no more than that there is no such thing. */
function ignoreQmp(error: unknown): void {
  if (!(error instanceof QmpError)) throw error
}
