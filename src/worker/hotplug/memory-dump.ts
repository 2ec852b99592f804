import { constants, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { timestamp } from '../../lib/clock.ts'
import type { Volume } from '../../kinds/volumes.ts'
import { VOLUMES } from '../volumes/context.ts'
import { openClaim } from '../volumes/claim.ts'
import { giveTo } from '../volumes/qemu-img.ts'
import { GuestFailure } from '../guest/failure.ts'
import { unlessMissing } from '../files/errno.ts'
import type { Look } from './context.ts'
import type { DumpPhase, VolumeStatus } from './status.ts'

/** What a dump holds besides the guest's memory: that of its devices. Source: contract 3.10. */
const DEVICE_BYTES = 100 * 1024 ** 2
/** QEMU tells by an event when a dump is done; looked at in between, should the event get lost. */
const LOOK_MS = 2_000
const SUFFIX = '.memory.dump'

/** Where a dump stands, as QEMU says. Source: `query-dump`. */
interface DumpState {
  status: 'none' | 'active' | 'completed' | 'failed'
}

/**
 * Writes the guest's memory to the claim of a volume, once: the entry in the guest's status says how far that is.
 * Answers in how many milliseconds to look again. What is to be known after a crash is written down before each step.
 * Throws what `guest/failure.ts` tells apart, where the dump cannot begin.
 */
export async function dumpMemory(look: Look, volume: Volume): Promise<number | undefined> {
  const before = look.statuses.find(volume.name)
  switch (before?.phase) {
    case 'MemoryDumpCompleted':
    case 'MemoryDumpFailed':
      return undefined
    case 'MemoryDumpInProgress':
      return follow(look, volume, before)
    default:
      return begin(look, volume)
  }
}

async function begin(look: Look, volume: Volume): Promise<number> {
  const { record, parts, request } = look
  const { claimName = '' } = volume.memoryDump ?? {}
  const { dir, claim } = await openClaim(claimName, atOf(look, volume), { request, ...claimsOf(look) })
  say(look, volume, 'MountedToPod', { claimName })
  // The dump of before makes room for this one.
  for (const name of await readdir(dir)) if (name.endsWith(SUFFIX)) await rm(join(dir, name))
  const neededBytes = await dumpBytes(look)
  await checkRoom(dir, neededBytes, claim.capacityBytes)
  const startTimestamp = timestamp(parts.clock)
  const stamp = startTimestamp.replace(/[-:]/g, '').replace('T', '-').replace(/\D*$/, '').slice(0, 15)
  const targetFileName = `${record.state.guest.name}-${claimName}-${stamp}${SUFFIX}`
  const info = { claimName, targetFileName, startTimestamp }
  say(look, volume, 'MemoryDumpInProgress', info)
  await record.keep({ status: { ...record.state.status, volumeStatus: [...look.statuses.entries] } })
  await start(look, join(dir, targetFileName))
  return LOOK_MS
}

async function start({ machine, record }: Look, file: string): Promise<void> {
  await using handle = await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  await handle.sync()
  await giveTo(file, record.state.launch?.user)
  delete machine.lastWords.dumpError
  await machine.command('dump-guest-memory', {
    paging: false,
    protocol: `file:${file}`,
    detach: true,
    format: 'elf',
  })
}

async function follow(look: Look, volume: Volume, entry: VolumeStatus): Promise<number | undefined> {
  const { machine, parts, request } = look
  const info = entry.memoryDumpVolume ?? {}
  const { claimName = '', targetFileName = '' } = info
  const { status } = await machine.command<DumpState>('query-dump')
  if (status === 'active') return LOOK_MS
  const { dir } = await openClaim(claimName, atOf(look, volume), { request, ...claimsOf(look) })
  const file = join(dir, targetFileName)
  const written = await unlessMissing(stat(file))
  // What QEMU speaks of is an earlier dump: this one was not begun when the worker ended.
  if (!written || written.size === 0) {
    if (status !== 'failed' || !machine.lastWords.dumpError) {
      await start(look, file)
      return LOOK_MS
    }
  }
  const endTimestamp = timestamp(parts.clock)
  if (status === 'completed') {
    await takeBack(file)
    say(look, volume, 'MemoryDumpCompleted', { ...info, endTimestamp })
    return undefined
  }
  await rm(file, { force: true })
  const why = machine.lastWords.dumpError ?? 'QEMU did not say why'
  fail(look, volume, { ...info, endTimestamp }, `the memory dump failed: ${why}`)
  return undefined
}

/** The dump is no longer the guest's to change. */
async function takeBack(file: string): Promise<void> {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()]
  await giveTo(file, uid === 0 && gid !== undefined ? { uid, gid } : undefined)
}

async function dumpBytes({ machine }: Look): Promise<number> {
  const summary = await machine.command<{ 'base-memory': number; 'plugged-memory'?: number }>(
    'query-memory-size-summary',
  )
  return summary['base-memory'] + (summary['plugged-memory'] ?? 0) + DEVICE_BYTES
}

async function checkRoom(dir: string, neededBytes: number, capacityBytes: number | undefined): Promise<void> {
  const { bavail, bsize } = await statfs(dir)
  const freeBytes = Math.min(bavail * bsize, capacityBytes ?? Infinity)
  if (freeBytes >= neededBytes) return
  const [needed, free] = [neededBytes, freeBytes].map((bytes) => Math.ceil(bytes / 1024 ** 2))
  throw new GuestFailure(
    'MemoryDumpFailed',
    'never',
    `the memory dump needs ${needed} MiB and its claim has ${free} MiB free: use a larger claim`,
  )
}

/** A dump that did not begin, or has ended badly. */
export function fail(
  look: Look,
  volume: Volume,
  info: NonNullable<VolumeStatus['memoryDumpVolume']>,
  message: string,
): void {
  say(look, volume, 'MemoryDumpFailed', info, { reason: 'MemoryDumpFailed', message })
}

/** The dump of a volume that the guest has no more; one that is being written is waited for. */
export async function leaveDump(
  { machine, statuses }: Look,
  entry: VolumeStatus,
): Promise<number | undefined> {
  if (entry.phase === 'MemoryDumpInProgress') {
    const { status } = await machine.command<DumpState>('query-dump')
    if (status === 'active') return LOOK_MS
  }
  statuses.remove(entry.name)
  return undefined
}

function say(
  { statuses }: Look,
  { name }: Volume,
  phase: DumpPhase,
  memoryDumpVolume: NonNullable<VolumeStatus['memoryDumpVolume']>,
  why: { reason?: string; message?: string } = {},
): void {
  statuses.set(name, undefined, { phase, hotplugVolume: {}, memoryDumpVolume, ...why })
}

function claimsOf({ parts }: Look): { claimsDir?: string } {
  return parts.claimsDir === undefined ? {} : { claimsDir: parts.claimsDir }
}

function atOf({ spec }: Look, volume: Volume) {
  return VOLUMES.index((spec.volumes ?? []).indexOf(volume)).child('memoryDump')
}
