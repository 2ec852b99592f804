import type { Log } from '../../lib/log.ts'
import type { Clock } from '../../lib/clock.ts'
import { QmpClosed, QmpTimeout } from '../../qemu/qmp/client.ts'
import { askAgent } from '../../qemu/qga/agent.ts'
import type { GuestEnd } from './end.ts'
import type { Machine } from './machine.ts'
import type { GuestRecord, Happened } from './record.ts'
import type { PausedBy } from './state.ts'

/** What a look at a guest takes. */
export interface ObserveParts {
  record: GuestRecord
  clock: Clock
  log: Log
  /** Whether it was stopped because no leader was heard of. */
  isHeld: () => Promise<boolean>
  /** Whether it may begin to run: not while no leader is heard of, where it may be started elsewhere. */
  mayRun: () => boolean
}

/** What of a machine is looked at. */
export type ObservedMachine = Pick<
  Machine,
  'runState' | 'command' | 'lastWords' | 'hasAgent' | 'retryAtMs' | 'missedLooks'
>

/** What came of a look. */
export type Observed = { end: GuestEnd } | { again: true } | { waitMs?: number }

/** Storage that was full may have room again. Source: contract 2.2, `BLOCK_IO_ERROR`. */
const FULL_RETRY_MS = 30_000
/** Between looks at a guest of which nothing is heard, and how many may be missed. Source: contract 2.1. */
const LOOK_MS = 10_000
const MISSED_LIMIT = 3
const UNRESPONSIVE = { reason: 'Unresponsive', message: 'QEMU does not answer; it is left alone' }

/** Takes in what QEMU says of its guest, and does what follows from it. */
export async function observe(machine: ObservedMachine, parts: ObserveParts): Promise<Observed> {
  const { record, log } = parts
  try {
    const state = await machine.runState()
    machine.missedLooks = 0
    if (record.state.trouble?.reason === UNRESPONSIVE.reason) record.change({ trouble: undefined })
    record.change({ agentConnected: machine.hasAgent })
    return { waitMs: LOOK_MS, ...(await react(state, machine, parts)) }
  } catch (error) {
    // The machine reconnects, or notices that QEMU has ended; either rings.
    if (error instanceof QmpClosed) return {}
    if (!(error instanceof QmpTimeout)) throw error
    machine.missedLooks += 1
    if (machine.missedLooks === MISSED_LIMIT) {
      log.warn({ err: error, vmi: record.state.guest }, 'QEMU does not answer')
      record.change({ trouble: UNRESPONSIVE })
    }
    return { waitMs: LOOK_MS }
  }
}

async function react(state: string, machine: ObservedMachine, parts: ObserveParts): Promise<Observed> {
  const { record } = parts
  const { lastWords } = machine
  switch (state) {
    case 'running':
      machine.retryAtMs = undefined
      await markRunning(record, undefined)
      return {}
    case 'prelaunch':
      return parts.mayRun() ? wake(machine, record) : { waitMs: LOOK_MS }
    case 'paused':
      // Nobody but us stops it, and the guard.
      await markRunning(record, (await parts.isHeld()) ? 'fence' : 'user')
      return {}
    case 'io-error':
      await markRunning(record, 'io-error', lastWords.ioError)
      return lastWords.noSpace ? retryIo(machine, parts) : {}
    case 'shutdown':
      return afterShutdown(machine, parts)
    case 'guest-panicked':
      return {
        end: {
          phase: 'Failed',
          reason: 'GuestPanicked',
          message: 'the guest has crashed: its kernel panicked',
        },
      }
    case 'internal-error':
      return {
        end: {
          phase: 'Failed',
          reason: 'InternalError',
          message: 'QEMU met an error that the guest cannot go on from',
        },
      }
    case 'watchdog':
      await markRunning(record, 'unknown')
      return {}
    default:
      // Asleep, or in the middle of something that ends by itself.
      await markRunning(record, record.state.pausedBy)
      return {}
  }
}

/** Writes down that the guest is on, where that is news. */
async function markRunning(record: GuestRecord, pausedBy: PausedBy | undefined, why?: string): Promise<void> {
  const { state } = record
  const isNew = state.phase !== 'Running'
  if (!isNew && state.pausedBy === pausedBy) return
  const happened: Happened[] = []
  if (isNew) happened.push(['Normal', 'Started', 'VirtualMachineInstance started.'])
  if (pausedBy === 'io-error') {
    happened.push([
      'Warning',
      'IOerror',
      `VirtualMachineInstance paused because of an I/O error: ${why ?? 'unknown'}`,
    ])
  }
  await record.keep({
    phase: 'Running',
    pausedBy,
    message: undefined,
    reason: undefined,
    trouble: undefined,
    failedStarts: 0,
    ...record.withEvents(...happened),
  })
}

/** CPUs that have never run, or not since a reset. */
async function wake(machine: ObservedMachine, record: GuestRecord): Promise<Observed> {
  const { phase, launch, pausedBy } = record.state
  if (phase !== 'Scheduled') {
    // A reset ends whatever else has stopped it.
    if (pausedBy === 'user' || pausedBy === 'fence') return {}
    await machine.command('cont')
    return { again: true }
  }
  for (const name of launch?.linksDown ?? []) await machine.command('set_link', { name, up: false })
  if (launch?.startsPaused) {
    await markRunning(record, 'user')
    return {}
  }
  await machine.command('cont')
  return { again: true }
}

async function retryIo(machine: ObservedMachine, { clock }: ObserveParts): Promise<Observed> {
  machine.retryAtMs ??= clock.now() + FULL_RETRY_MS
  const waitMs = machine.retryAtMs - clock.now()
  if (waitMs > 0) return { waitMs }
  machine.retryAtMs = undefined
  await machine.command('cont')
  return { again: true }
}

async function afterShutdown(machine: ObservedMachine, { record, clock }: ObserveParts): Promise<Observed> {
  if (clock.now() < (record.state.rebootUntilMs ?? 0)) {
    await machine.command('system_reset')
    await machine.command('cont')
    await record.keep({ rebootUntilMs: undefined })
    return { again: true }
  }
  return { end: { phase: 'Succeeded', message: 'the guest has shut down' } }
}

/** Lets a guest go on and its clock catch up, as that stood still. Throws as `Machine.command`. */
export async function resume(machine: Machine, log: Log): Promise<void> {
  await machine.command('cont')
  if (!machine.hasAgent) return
  await machine
    .withAgent((path) => askAgent(path, 'guest-set-time'))
    .catch((error: unknown) => log.debug({ err: error }, 'the guest agent did not set the clock'))
}
