import { createHash } from 'node:crypto'
import { lastQemuError } from '../../qemu/log.ts'
import { isAlive, spawnQemu } from '../../qemu/process.ts'
import type { SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { WorkerParts } from '../parts.ts'
import { startFailed } from './failure.ts'
import { Machine, type MachineOptions } from './machine.ts'
import { prepareGuest, type Prepared } from './prepare.ts'
import type { GuestRecord, Happened } from './record.ts'
import type { GuestState, Launched } from './state.ts'
import { statusOf } from './status.ts'
import { endQemu } from './stop.ts'

/** What a guest is started with. */
export interface StartOptions {
  parts: WorkerParts
  record: GuestRecord
  files: GuestFiles
  onChange: () => void
  signal: AbortSignal
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
  const { parts, record, files, signal } = options
  const onProgress = (message: string): void => record.change({ message })
  const { slots } = record.state
  const prepared = await prepareGuest(request, parts, { files, slots, signal, onProgress })
  const facts = await factsOf(request, prepared, parts)
  return parts.starts.run(async () => {
    onProgress('starting QEMU')
    const degraded = prepared.built.degraded.map(({ field, message }): Happened => [
      'Warning',
      'DegradedFeature',
      `${field}: ${message}`,
    ])
    await record.keep({ ...facts, process: undefined, ...record.withEvents(CREATED, ...degraded) })
    const process = await launch(prepared, options)
    return attachNew(process, options)
  }, signal)
}

async function launch({ built, user }: Prepared, { parts, record, files }: StartOptions): Promise<Launched> {
  const process = await spawnQemu({
    binary: parts.qemu.binary,
    argv: built.argv,
    logFile: files.log,
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
  const { launch, hasSerial, hasDisplay } = record.state
  const ownUid = process.getuid?.() ?? 0
  const ownerUid = launch?.user?.uid ?? ownUid
  const { clock, log } = parts
  return {
    process: launched,
    ownerUid,
    files,
    hasSerial,
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
  'launch' | 'slots' | 'acpi' | 'hasSerial' | 'hasDisplay' | 'notMigratable' | 'status'
>

async function factsOf(request: SyncRequest, prepared: Prepared, parts: WorkerParts): Promise<Facts> {
  const { plan, built, user } = prepared
  const { spec } = request.vmi
  const { autoattachSerialConsole, autoattachGraphicsDevice } = spec.domain.devices
  return {
    launch: {
      binary: parts.qemu.binary,
      argvHash: createHash('sha256').update(JSON.stringify(built.argv)).digest('hex'),
      ...(user && { user }),
      startsPaused: spec.startStrategy === 'Paused',
      linksDown: built.linksDown,
    },
    slots: built.slots,
    acpi: spec.domain.features?.acpi?.enabled !== false,
    hasSerial: autoattachSerialConsole !== false,
    hasDisplay: autoattachGraphicsDevice !== false,
    notMigratable: {
      reason: 'DisksNotLiveMigratable',
      message: `the guest's disks are local to node ${parts.nodeName}, which does not migrate guests`,
    },
    status: await statusOf(plan, built.argv),
  }
}
