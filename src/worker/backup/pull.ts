import { rm } from 'node:fs/promises'
import type { GuestRecord } from '../guest/record.ts'
import { createImage } from '../volumes/qemu-img.ts'
import { addExports, NbdServerTaken, startServer, stopServer } from './nbd.ts'
import { ignoreQmp, type Monitor } from './nodes.ts'
import { type ModeSteps, noteWrites, type Run, sizeOf } from './run.ts'
import { type BackupState, keepBackup } from './state.ts'

/**
 * Others read the disks, as they were when the backup began: what the guest writes over is first put into an image
 * that stands on the disk. Source: contract worker-qemu 2.13; QEMU, docs/interop/live-block-operations.
 */
export const pull: ModeSteps = {
  async prepare(run) {
    const { machine, latest } = run
    // First, so that whatever fails after it leaves a server that is ours.
    await startServer(machine, machine.place.runDir)
    await makeImages(run)
    for (const { targetNode, node, file } of latest.volumes) {
      await machine.command('blockdev-add', {
        driver: 'qcow2',
        'node-name': targetNode,
        backing: node,
        file: { driver: 'file', filename: file },
      })
    }
  },
  actions(run) {
    const { latest, since } = run
    return latest.volumes.flatMap(({ node, targetNode, job, bitmap }) => [
      noteWrites(run, node),
      ...changesSince(node, since?.name, bitmap),
      {
        type: 'blockdev-backup',
        data: { 'job-id': job, device: node, target: targetNode, 'auto-dismiss': false, sync: 'none' },
      },
    ])
  },
  async follow({ machine, record, latest }) {
    await makeReadable(machine, record, latest)
  },
  async undo({ machine, latest }, cause) {
    if (!(cause instanceof NbdServerTaken)) await stopServer(machine, machine.place.runDir)
    await leavePull(machine, latest)
  },
}

/** Lets the disks be read, and says where, unless that is so already. Throws as `Machine.command`. */
export async function makeReadable(
  machine: Monitor,
  record: GuestRecord,
  latest: BackupState,
): Promise<void> {
  await addExports(machine, latest)
  const { backup } = record.state
  if (!backup || latest.readable) return
  await keepBackup(record, { ...backup, latest: { ...latest, readable: true } })
}

/** QEMU exports only bitmaps that do not change: a copy of the checkpoint's, of the same moment. */
function changesSince(node: string, since: string | undefined, bitmap: string | undefined): object[] {
  if (since === undefined || bitmap === undefined) return []
  return [
    { type: 'block-dirty-bitmap-add', data: { node, name: bitmap, disabled: true } },
    { type: 'block-dirty-bitmap-merge', data: { node, target: bitmap, bitmaps: [since] } },
  ]
}

async function makeImages(run: Run): Promise<void> {
  const { signal } = new AbortController()
  const owner = run.record.state.launch?.user
  for (const { node, file } of run.latest.volumes) {
    await createImage(run.parts.qemuImg, { file, sizeBytes: sizeOf(run, node), owner }, signal)
  }
}

/** Takes down what a backup in pull mode has put up, once its server and its jobs have ended. Throws as `command`. */
export async function leavePull(machine: Monitor, { volumes, folder }: BackupState): Promise<void> {
  for (const { targetNode, node, bitmap, file } of volumes) {
    await machine.command('blockdev-del', { 'node-name': targetNode }).catch(ignoreQmp)
    if (bitmap !== undefined)
      await machine.command('block-dirty-bitmap-remove', { node, name: bitmap }).catch(ignoreQmp)
    await rm(file, { force: true })
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
}
