import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Degraded } from '../../qemu/argv/index.ts'
import { hasUserNetwork } from '../../qemu/argv/user-network.ts'
import { lastQemuError } from '../../qemu/log.ts'
import { isAlive, spawnQemu } from '../../qemu/process.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import { type DiskRecord, disksOf } from '../migration/disks.ts'
import { GENERATED_LIMIT, generatedBytes, pluggedIn } from '../migration/facts.ts'
import { hardwareOf } from '../migration/hardware.ts'
import { type NotMigratable, whyNotMigratable } from '../migration/migratable.ts'
import type { WorkerParts } from '../parts.ts'
import { startingStatuses } from '../hotplug/status.ts'
import { startFailed } from './failure.ts'
import { Machine, type MachineOptions } from './machine.ts'
import { type Arrival, prepareGuest, type Prepared } from './prepare.ts'
import type { Change, GuestRecord, Happened } from './record.ts'
import type { BuildRecord, GuestState, Launched } from './state.ts'
import { sevLoaderSha } from './sev.ts'
import { statusOf } from './status.ts'
import { endQemu } from './stop.ts'

/** What a guest is started with. */
export interface StartOptions {
  parts: WorkerParts
  record: GuestRecord
  files: GuestFiles
  onChange: () => void
  signal: AbortSignal
  /** Present for a guest that comes from another node: its QEMU then waits for it. */
  arrival?: Arrival
}

const CREATED: Happened = ['Normal', 'Created', 'VirtualMachineInstance defined.']
/** Long enough for a host that is busy, and for memory that has to be found first. */
const READY_MS = 30_000

/**
 * Prepares a guest and starts its QEMU, whose CPUs stand still: `prelaunch`. Each step is written down before it is
 * taken, so that a worker that comes after a crash finds what there is.
 *
 * Throws what `classify` tells apart, and the reason of `signal`; then no QEMU is left.
 */
export async function startGuest(request: SyncRequest, options: StartOptions): Promise<Machine> {
  const { parts, record, files, signal, arrival } = options
  const onProgress = (message: string): void => record.change({ message })
  const { slots } = record.state
  const prepared = await prepareGuest(request, parts, {
    files,
    slots,
    signal,
    onProgress,
    ...(arrival && { arrival }),
  })
  const facts = await factsOf(request, prepared, parts)
  return parts.starts.run(async () => {
    onProgress('starting QEMU')
    const degraded = [...prepared.built.degraded, ...(await exposedBy(prepared, parts))].map(
      ({ field, message }): Happened => ['Warning', 'DegradedFeature', `${field}: ${message}`],
    )
    // Of an earlier try, where the spec was another one.
    await parts.taps.remove(record.state.taps ?? [])
    await record.keep({
      ...facts,
      process: undefined,
      plugged: pluggedIn(facts.build, prepared.plan),
      ...record.withEvents(CREATED, ...degraded),
    })
    // After they are written down, so that they are taken away even if this worker ends now.
    await parts.taps.make(prepared.taps, prepared.user)
    const process = await launch(prepared, options)
    return attachNew(process, options)
  }, signal)
}

/** What the guest's network lets it reach that it should not. */
async function exposedBy({ built, user }: Prepared, { guard }: WorkerParts): Promise<Degraded[]> {
  if (!hasUserNetwork(built.argv)) return []
  const why = await guard.keep(user)
  if (why === undefined) return []
  return [
    { field: 'spec.networks', message: `the guest can reach what listens on this node's loopback: ${why}` },
  ]
}

async function launch(
  { plan, built, user }: Prepared,
  { parts, record, files }: StartOptions,
): Promise<Launched> {
  await using vsock = plan.vsock && (await open(parts.vhostVsock, 'r+'))
  const process = await spawnQemu({
    binary: parts.qemu.binary,
    argv: built.argv,
    logFile: files.log,
    ...(vsock && { fds: [vsock.fd] }),
    ...user,
  })
  await record.keep({ process })
  return process
}

async function attachNew(process: Launched, options: StartOptions): Promise<Machine> {
  const { record, files, signal } = options
  try {
    return await Machine.attach(machineOptions(process, options, READY_MS))
  } catch (error) {
    const died = !isAlive(process)
    // Ended even where we are told to stop waiting: it would never be asked for again.
    await endQemu(process, undefined, new AbortController().signal)
    await record.keep({ process: undefined, launch: undefined })
    signal.throwIfAborted()
    const said = await lastQemuError(files.log, process.logOffset)
    throw startFailed(died ? said : `it does not answer; ${said}`, error)
  }
}

/** How to attach to the QEMU of this guest. */
export function machineOptions(
  launched: Launched,
  { parts, record, files, onChange, signal }: StartOptions,
  timeoutMs: number,
): MachineOptions {
  const { launch, hasSerial, logsSerial = true, hasDisplay } = record.state
  const ownUid = process.getuid?.() ?? 0
  const ownerUid = launch?.user?.uid ?? ownUid
  const { clock, log } = parts
  return {
    process: launched,
    ownerUid,
    files,
    hasSerial,
    logsSerial,
    hasDisplay,
    clock,
    log,
    onChange,
    timeoutMs,
    signal,
  }
}

type Facts = Pick<
  GuestState,
  'launch' | 'slots' | 'acpi' | 'hasSerial' | 'logsSerial' | 'hasDisplay' | 'status'
> & { build: BuildRecord } & Pick<Change, 'notMigratable' | 'sevLoaderSha' | 'taps'>

async function factsOf(request: SyncRequest, prepared: Prepared, parts: WorkerParts): Promise<Facts> {
  const { plan, built, user, digests, taps } = prepared
  const disks = disksOf(plan, request)
  const notMigratable = whyNotMigratable(plan, disks) ?? (await tooMuchGenerated(disks))
  const { spec } = request.vmi
  const { autoattachSerialConsole, logSerialConsole, autoattachGraphicsDevice } = spec.domain.devices
  return {
    launch: {
      binary: parts.qemu.binary,
      argvHash: createHash('sha256').update(JSON.stringify(built.argv)).digest('hex'),
      ...(user && { user }),
      startsPaused: spec.startStrategy === 'Paused',
      linksDown: built.linksDown,
    },
    slots: built.slots,
    sevLoaderSha: await sevLoaderSha(plan),
    acpi: spec.domain.features?.acpi?.enabled !== false,
    hasSerial: autoattachSerialConsole !== false,
    logsSerial: logSerialConsole !== false,
    hasDisplay: autoattachGraphicsDevice !== false,
    notMigratable,
    taps: taps.length > 0 ? taps : undefined,
    build: { hardware: hardwareOf(built.argv), disks, images: digests },
    status: withVolumes(await statusOf(plan, built.argv, disks), request),
  }
}

/** Images that are made here travel in one call. */
async function tooMuchGenerated(disks: readonly DiskRecord[]): Promise<NotMigratable | undefined> {
  if ((await generatedBytes(disks)) <= GENERATED_LIMIT) return undefined
  return {
    reason: 'DisksNotLiveMigratable',
    message: `the images made from Secrets, ConfigMaps and cloud-init data have more than ${GENERATED_LIMIT} bytes`,
  }
}

/** The status with what is known of the claims of the guest's volumes, and which of these may be taken out again. */
function withVolumes(status: Facts['status'], request: SyncRequest): Facts['status'] {
  return { ...status, volumeStatus: startingStatuses(status.volumeStatus ?? [], request) }
}
