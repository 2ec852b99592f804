import { chmod, chown, rm } from 'node:fs/promises'
import type { Clock } from '../../lib/clock.ts'
import { scrubPaths } from '../../qemu/log.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import { unlessMissing } from '../files/errno.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { GuestRecord } from '../guest/record.ts'
import { loadTarget, removeTarget } from './export-target.ts'
import type { Exporter } from './exporter.ts'
import { stopServer } from './nbd.ts'
import { ignoreQmp, type Monitor, readDisks } from './nodes.ts'
import { leavePull, makeReadable } from './pull.ts'
import { type BackupRecord, type BackupState, CHECKPOINT_LIMIT, isBackingUp, keepBackup } from './state.ts'

/** What seeing to a backup takes. */
export interface TendBackup {
  machine: Monitor & { exporter: Pick<Exporter, 'isRunning' | 'begin' | 'end'> }
  record: GuestRecord
  files: Pick<GuestFiles, 'generated'>
  clock: Clock
}

interface Job {
  id: string
  status: string
  error?: string
}

/** What a job says that we have ended. */
const CANCELLED = /cancell?ed/i
const LOOK_MS = 500
/** Of one that others read, QEMU tells when it ends. */
const PULL_LOOK_MS = 10_000
/** What the guest writes over meanwhile is kept for so long. */
export const PULL_LIMIT_MS = 24 * 3_600_000

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
  const running = jobs.filter((job) => job !== undefined && job.status !== 'concluded')
  const failure = failureOf(options, latest, jobs)
  // Written down as what cancelling brings about is not why.
  if (failure !== undefined && latest.failing === undefined) {
    await keepBackup(options.record, { ...backup, latest: { ...latest, failing: failure } })
    return look(options, backup, { ...latest, failing: failure })
  }
  const isOver = failure !== undefined || latest.aborted === true
  if (!isOver && latest.mode === 'Pull') return serve(options, backup, latest)
  if (isOver) await stop(options, latest, running)
  if (running.length > 0) return { waitMs: LOOK_MS }
  await leave(machine, latest)
  if (failure !== undefined) await fail(options, backup, latest, failure)
  else if (latest.aborted && latest.mode !== 'Pull') await fail(options, backup, latest, 'aborted')
  else await succeed(options, backup, latest)
  return {}
}

/** Why it is to end, or has ended, otherwise than it should; nothing where somebody just wants it to. */
function failureOf(
  { clock }: TendBackup,
  { mode, startMs, failing, aborted }: BackupState,
  jobs: readonly (Job | undefined)[],
): string | undefined {
  if (failing !== undefined) return failing
  const said = jobs.map((job) => (job || aborted ? job?.error : 'QEMU knows nothing of it')).find(Boolean)
  if (said && !(aborted && CANCELLED.test(said))) return scrubPaths(said)
  if (mode !== 'Pull' || aborted) return undefined
  if (jobs.some((job) => job?.status === 'concluded')) return 'QEMU has ended it'
  if (clock.now() - startMs < PULL_LIMIT_MS) return undefined
  return `nobody has ended it within ${PULL_LIMIT_MS / 3_600_000} h`
}

/** Sees to it that those who read it can. */
async function serve(
  { machine, record, files, clock }: TendBackup,
  backup: BackupRecord,
  latest: BackupState,
): Promise<{ waitMs: number }> {
  try {
    await makeReadable(machine, record, latest)
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
    await keepBackup(record, { ...backup, latest: { ...latest, failing: scrubPaths(error.desc) } })
    return { waitMs: 0 }
  }
  if (latest.exportTo !== undefined && !machine.exporter.isRunning()) {
    const target = await loadTarget(files)
    if (target) machine.exporter.begin(target)
  }
  return { waitMs: Math.min(PULL_LOOK_MS, Math.max(0, latest.startMs + PULL_LIMIT_MS - clock.now())) }
}

async function stop(
  { machine, files }: TendBackup,
  { mode, runDir }: BackupState,
  jobs: readonly (Job | undefined)[],
): Promise<void> {
  if (mode === 'Pull') {
    machine.exporter.end()
    await removeTarget(files)
    if (runDir !== undefined) await stopServer(machine, runDir)
  }
  for (const job of jobs) {
    if (job) await machine.command('block-job-cancel', { device: job.id, force: true }).catch(ignoreQmp)
  }
}

/** Takes down what was put up for the backup. */
async function leave(machine: Monitor, latest: BackupState): Promise<void> {
  for (const { job } of latest.volumes) await machine.command('job-dismiss', { id: job }).catch(ignoreQmp)
  if (latest.mode === 'Pull') return leavePull(machine, latest)
  for (const { targetNode } of latest.volumes) {
    await machine.command('blockdev-del', { 'node-name': targetNode }).catch(ignoreQmp)
  }
}

async function succeed(
  { machine, record, clock }: TendBackup,
  backup: BackupRecord,
  latest: BackupState,
): Promise<void> {
  const { name, startMs, volumes, mode } = latest
  if (mode !== 'Pull') for (const { file } of volumes) await takeBack(file)
  const made = {
    name,
    creationMs: startMs,
    volumes: volumes.map(({ volumeName, node, file }) => ({
      volumeName,
      node,
      ...(mode !== 'Pull' && { file }),
    })),
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
  const { mode, folder } = backup.latest
  if (mode === 'Pull' && folder !== undefined) await rm(folder, { recursive: true, force: true })
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
