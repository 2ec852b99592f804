import { timestamp } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import { claimNameOf, diskOf, disksOf, isHotpluggable, type Volume } from '../../kinds/volumes.ts'
import { nodeNamesOf } from '../../qemu/argv/block-nodes.ts'
import { scrubPaths } from '../../qemu/log.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import { classify, GuestFailure } from '../guest/failure.ts'
import { claimImage } from '../volumes/claim.ts'
import type { Look, TendParts } from './context.ts'
import { idOf, isMigrating, nameOf, readHardware } from './devices.ts'
import { growDisk, outgrown } from './grow.ts'
import { drivesToEmpty, ejectMedium, insertMedium, isDriveOfGuest } from './media.ts'
import { dumpMemory, fail, leaveDump } from './memory-dump.ts'
import { plugDisk } from './plug.ts'
import { claimMember, VolumeStatuses } from './status.ts'
import { finishUnplug, unplugDisk } from './unplug.ts'

/** What did not work is tried again. */
const RETRY_MS = 30_000
/** While a migration has the devices tied down. */
const MIGRATION_MS = 5_000
/** Drivers that can be taken out of a running machine. */
const REMOVABLE = /^(scsi-(hd|block)|virtio-blk-pci)$/

/** Something to be done about one volume; answers in how many milliseconds to look again. */
interface Task {
  name: string
  run: () => Promise<number | undefined | void>
  /** Said of a volume that has no entry yet. */
  dump?: Volume
}

/** As `tendVolumes`, for a QEMU that may have gone away: the machine reconnects, or notices that QEMU has ended. */
export async function tendGuest(options: TendParts): Promise<{ waitMs?: number }> {
  const waitMs = await tendVolumes(options).catch((error: unknown) => {
    if (error instanceof QmpClosed) return undefined
    if (error instanceof QmpTimeout) return RETRY_MS
    throw error
  })
  return waitMs === undefined ? {} : { waitMs }
}

/**
 * Brings the volumes of a running guest in line with its spec: takes out, puts in, grows, dumps memory. All that is
 * done rests on what QEMU says it has, so that it goes on from wherever a crash has left it. Answers in how many
 * milliseconds to look again, where it has to be before something rings.
 *
 * Throws `QmpClosed` and `QmpTimeout`. What one volume meets with stands in its entry of `status.volumeStatus`.
 */
export async function tendVolumes(options: TendParts): Promise<number | undefined> {
  const { machine, record, request } = options
  const { spec } = request.vmi
  const before = record.state.status.volumeStatus ?? []
  if (!isConcerned(options)) return undefined
  const statuses = new VolumeStatuses(before, (entries) => {
    record.change({ status: { ...record.state.status, volumeStatus: [...entries] } })
  })
  const look: Look = { ...options, spec, statuses, hardware: await readHardware(machine) }
  const tasks = [...removals(look), ...additions(look), ...growths(look), ...dumps(look)]
  const isHeld = tasks.length > 0 && (await isMigrating(machine))
  const waits = isHeld ? [MIGRATION_MS] : await runAll(look, tasks)
  noteClaims(look)
  const { status } = record.state
  if (!isSameJson(statuses.entries, before)) {
    await record.keep({ status: { ...status, volumeStatus: [...statuses.entries] } })
  }
  return waits.length > 0 ? Math.min(...waits) : undefined
}

/** Most guests have nothing that could change; they are not asked for it at each look. */
function isConcerned({ record, request }: TendParts): boolean {
  const { volumes = [] } = request.vmi.spec
  const entries = record.state.status.volumeStatus ?? []
  return (
    volumes.some((volume) => claimNameOf(volume) !== undefined) ||
    entries.some((entry) => entry.hotplugVolume ?? entry.memoryDumpVolume)
  )
}

async function runAll(look: Look, tasks: readonly Task[]): Promise<number[]> {
  const waits: number[] = []
  for (const task of tasks) {
    const waitMs = await attempt(look, task)
    if (waitMs !== undefined) waits.push(waitMs)
  }
  return waits
}

async function attempt(look: Look, task: Task): Promise<number | undefined> {
  const { statuses, signal, record, parts } = look
  const { name } = task
  const said = statuses.find(name)?.message
  try {
    return (await task.run()) ?? undefined
  } catch (error) {
    if (signal.aborted || error instanceof QmpClosed || error instanceof QmpTimeout) throw error
    const { reason, message, retry } = failureOf(error)
    if (said !== message) {
      parts.log.warn({ err: error, vmi: record.state.guest, volume: name }, 'a volume cannot be changed')
      record.change(record.withEvents(['Warning', reason, message]))
    }
    if (task.dump && retry !== 'always') {
      const info = statuses.find(name)?.memoryDumpVolume ?? {
        claimName: task.dump.memoryDump?.claimName ?? '',
      }
      fail(look, task.dump, { ...info, endTimestamp: timestamp(parts.clock) }, message)
      return undefined
    }
    noteFailure(look, task, { reason, message })
    return RETRY_MS
  }
}

function failureOf(error: unknown): GuestFailure {
  if (!(error instanceof QmpError)) return classify(error)
  return new GuestFailure('FailedHotplugSync', 'few', scrubPaths(error.message), error)
}

function noteFailure(
  { statuses, spec, request }: Look,
  { name, dump }: Task,
  why: { reason: string; message: string },
) {
  if (statuses.find(name)) return statuses.change(name, why)
  const volume = spec.volumes?.find((one) => one.name === name)
  const disk = diskOf(spec, name)
  const bus = dump ? undefined : (disk?.disk?.bus ?? disk?.lun?.bus ?? disk?.cdrom?.bus ?? 'sata')
  const kind = {
    hotplugVolume: {},
    ...(dump && { memoryDumpVolume: { claimName: dump.memoryDump?.claimName ?? '' } }),
  }
  return statuses.set(name, bus, {
    phase: 'Pending',
    ...kind,
    ...(volume && claimMember(volume, request)),
    ...why,
  })
}

/** Disks, media and rests of them that the spec does not have any more. */
function removals(look: Look): Task[] {
  const { hardware, statuses } = look
  const tasks: Task[] = drivesToEmpty(look).map((name) => ({ name, run: () => ejectMedium(look, name) }))
  for (const { id, driver } of hardware.disks.values()) {
    const name = nameOf(id)
    if (!REMOVABLE.test(driver) || statuses.isPermanent(name)) continue
    if (!isWanted(look, name)) tasks.push({ name, run: () => unplugDisk(look, id) })
  }
  const wanted = new Set(pluggable(look).map(({ name }) => name))
  for (const { name, hotplugVolume, memoryDumpVolume } of statuses.entries) {
    if (!hotplugVolume || memoryDumpVolume || wanted.has(name)) continue
    const id = idOf(name)
    if (!hardware.disks.has(id)) tasks.push({ name, run: () => finishUnplug(look, id) })
    else if (isDriveOfGuest(look, name) && hardware.media.get(id) === undefined) statuses.remove(name)
  }
  return tasks
}

/** Whether the spec still has that disk, and on the file that the guest has it on. */
function isWanted(look: Look, name: string): boolean {
  const { spec } = look
  if (!disksOf(spec).some((disk) => disk.name === name)) return false
  const volume = spec.volumes?.find((one) => one.name === name)
  return volume !== undefined && isOnItsFile(look, volume)
}

/** Whether what QEMU has open is the claim's image; what cannot be told is taken for right. */
function isOnItsFile({ hardware, request, parts }: Look, volume: Volume): boolean {
  const found = hardware.nodes.get(nodeNamesOf(volume.name).format)?.file
  const claim = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name
  if (!found?.startsWith('/') || claim === undefined || parts.claimsDir === undefined) return true
  return found === claimImage(claim, { request, claimsDir: parts.claimsDir })
}

/** Volumes of the spec that are disks and may come and go. */
function pluggable({ spec }: Look): Volume[] {
  return (spec.volumes ?? []).filter((volume) => isHotpluggable(volume) && !volume.memoryDump)
}

function additions(look: Look): Task[] {
  const { hardware, statuses, spec } = look
  return pluggable(look).flatMap((volume): Task[] => {
    const { name } = volume
    if (statuses.isPermanent(name)) return []
    if (isDriveOfGuest(look, name)) {
      const isIn = hardware.media.get(idOf(name)) !== undefined && isOnItsFile(look, volume)
      return isIn ? [] : [{ name, run: () => insertMedium(look, volume) }]
    }
    if (hardware.disks.has(idOf(name)) || !diskOf(spec, name)) return []
    return [{ name, run: () => plugDisk(look, volume) }]
  })
}

function growths(look: Look): Task[] {
  return outgrown(look).map((volume) => ({ name: volume.name, run: () => growDisk(look, volume) }))
}

function dumps(look: Look): Task[] {
  const { spec, statuses } = look
  const wanted = (spec.volumes ?? []).filter(({ memoryDump }) => memoryDump)
  const left = statuses.entries.filter(
    ({ name, memoryDumpVolume }) => memoryDumpVolume && !wanted.some((volume) => volume.name === name),
  )
  return [
    ...left.map((entry) => ({ name: entry.name, run: () => leaveDump(look, entry) })),
    ...wanted
      .filter(({ name }) => !/Completed|Failed/.test(statuses.find(name)?.phase ?? ''))
      .map((volume) => ({ name: volume.name, dump: volume, run: () => dumpMemory(look, volume) })),
  ]
}

/** What claims have become is told with their volumes. */
function noteClaims({ spec, statuses, request }: Look): void {
  for (const volume of spec.volumes ?? []) {
    const entry = statuses.find(volume.name)
    const { persistentVolumeClaimInfo: info } = volume.memoryDump ? {} : claimMember(volume, request)
    if (!entry || !info || isSameJson(info, entry.persistentVolumeClaimInfo)) continue
    const { message, reason } = entry
    statuses.change(volume.name, {
      persistentVolumeClaimInfo: info,
      ...(message && { message }),
      ...(reason && { reason }),
    })
  }
}
