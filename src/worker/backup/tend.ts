import { chmod, chown } from 'node:fs/promises'
import type { Clock } from '../../lib/clock.ts'
import { scrubPaths } from '../../qemu/log.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import { unlessMissing } from '../files/errno.ts'
import type { GuestRecord } from '../guest/record.ts'
import { type Monitor, readDisks } from './nodes.ts'
import { type BackupRecord, type BackupState, CHECKPOINT_LIMIT, isBackingUp, keepBackup } from './state.ts'

/** What seeing to a backup takes. */
export interface TendBackup {
  machine: Monitor
  record: GuestRecord
  clock: Clock
}

interface Job {
  id: string
  status: string
  error?: string
}

const LOOK_MS = 500

/**
 * Looks how the guest's backup is, and ends it when all of its jobs have. Rests on what QEMU says, so that it goes on
 * from wherever a crash has left it. Answers in how many milliseconds to look again.
 */
export async function tendBackup(options: TendBackup): Promise<{ waitMs?: number }> {
  const { backup } = options.record.state
  if (!backup?.latest || !isBackingUp(backup)) return {}
  try {
    return await look(options, backup, backup.latest)
  } catch (error) {
    // The machine reconnects, or notices that QEMU has ended.
    if (error instanceof QmpClosed || error instanceof QmpTimeout) return { waitMs: LOOK_MS }
    throw error
  }
}

async function look(
  options: TendBackup,
  backup: BackupRecord,
  latest: BackupState,
): Promise<{ waitMs?: number }> {
  const { machine } = options
  const all = await machine.command<Job[]>('query-jobs')
  const jobs = latest.volumes.map(({ job }) => all.find(({ id }) => id === job))
  const failure = jobs.map((job) => (job ? job.error : 'QEMU knows nothing of it')).find(Boolean)
  const running = jobs.filter((job) => job !== undefined && job.status !== 'concluded')
  if (failure || latest.aborted) await cancel(machine, running)
  if (running.length > 0) return { waitMs: LOOK_MS }
  await leave(machine, latest)
  const why = latest.aborted ? 'aborted' : failure && scrubPaths(failure)
  if (why) await fail(options, backup, latest, why)
  else await succeed(options, backup, latest)
  return {}
}

async function cancel(machine: Monitor, jobs: readonly (Job | undefined)[]): Promise<void> {
  for (const job of jobs) {
    if (job) await machine.command('block-job-cancel', { device: job.id, force: true }).catch(ignoreQmp)
  }
}

/** Takes down what was put up for the backup. */
async function leave(machine: Monitor, { volumes }: BackupState): Promise<void> {
  for (const { job, targetNode } of volumes) {
    await machine.command('job-dismiss', { id: job }).catch(ignoreQmp)
    await machine.command('blockdev-del', { 'node-name': targetNode }).catch(ignoreQmp)
  }
}

async function succeed(
  { machine, record, clock }: TendBackup,
  backup: BackupRecord,
  latest: BackupState,
): Promise<void> {
  for (const { file } of latest.volumes) await takeBack(file)
  const { name, startMs, volumes } = latest
  const made = {
    name,
    creationMs: startMs,
    volumes: volumes.map(({ volumeName, node, file }) => ({ volumeName, node, file })),
  }
  const all = [...backup.checkpoints, made]
  for (const { name: old } of all.slice(0, -CHECKPOINT_LIMIT)) await removeBitmaps(machine, record, old)
  const checkpoints = all.slice(-CHECKPOINT_LIMIT)
  const event = record.withEvents(['Normal', 'BackupCompleted', `The backup ${name} is complete.`])
  await keepBackup(record, { latest: { ...latest, endMs: clock.now() }, checkpoints }, event)
}

async function fail(
  { machine, record, clock }: TendBackup,
  backup: BackupRecord,
  latest: BackupState,
  message: string,
): Promise<void> {
  await removeBitmaps(machine, record, latest.name)
  const event = record.withEvents(['Warning', 'BackupError', `The backup ${latest.name} failed: ${message}`])
  await keepBackup(
    record,
    { ...backup, latest: { ...latest, endMs: clock.now(), failed: true, message } },
    event,
  )
}

/** The guest has ended: whatever runs will not be finished, and nothing is known of its disks any more. */
export async function abandonBackup(record: GuestRecord, clock: Clock): Promise<void> {
  const { backup } = record.state
  if (!backup?.latest || !isBackingUp(backup)) return
  const latest = { ...backup.latest, endMs: clock.now(), failed: true, message: 'the guest has ended' }
  await keepBackup(record, { latest, checkpoints: [] })
}

async function removeBitmaps(machine: Monitor, record: GuestRecord, name: string): Promise<void> {
  for (const { node } of await readDisks(machine, record.state)) {
    await machine.command('block-dirty-bitmap-remove', { node, name }).catch(ignoreQmp)
  }
}

/** Out of reach of QEMU's user, who was its owner while it was written. */
async function takeBack(file: string): Promise<void> {
  const ownUid = process.getuid?.() ?? 0
  const ownGid = process.getgid?.() ?? 0
  await unlessMissing(chown(file, ownUid, ownGid).then(() => chmod(file, 0o600)))
}

function ignoreQmp(error: unknown): void {
  if (!(error instanceof QmpError)) throw error
}
