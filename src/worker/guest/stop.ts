import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { isAlive, signalProcess } from '../../qemu/process.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import { AgentError, shutDownByAgent } from '../../qemu/qga/agent.ts'
import { UntrustedSocket } from '../files/pin.ts'
import type { Bell } from './bell.ts'
import type { Machine } from './machine.ts'
import { endsWithin } from './monitor.ts'
import type { Launched } from './state.ts'

/** How a guest came to its end while it was being stopped. */
export type StopOutcome =
  /** It shut down. */
  | 'shut-down'
  /** Its time was up. */
  | 'forced'
  /** It crashed. */
  | 'crashed'
  /** QEMU has ended by itself. */
  | 'gone'
  /** Its CPUs had not been started yet. */
  | 'never-ran'

/** What stopping takes. */
export interface StopParts {
  clock: Clock
  log: Log
  bell: Bell
  signal: AbortSignal
  /** When the guest's time is up, in milliseconds since 1970; may come nearer while we wait. */
  deadlineMs: () => number
  /** Whether the guest has an ACPI power button. */
  acpi: boolean
}

/** A booting guest loses the first presses. */
const PRESS_MS = 5_000
/** Between `quit`, SIGTERM and SIGKILL. */
const EXIT_MS = 5_000

/** The process does not even end when it is killed. */
export class StuckProcess extends Error {
  constructor(pid: number) {
    super(`process ${pid} does not end although it was killed; it may wait for a disk that does not answer`)
    this.name = 'StuckProcess'
  }
}

/**
 * Shuts a guest down: by its agent or the power button, until it is down or its time is up. QEMU itself is left for
 * `endQemu`. Source: contract 2.4.
 *
 * Throws the reason of `signal`.
 */
export async function shutDownGuest(machine: Machine, parts: StopParts): Promise<StopOutcome> {
  const { clock, bell, signal, deadlineMs } = parts
  let pressAtMs = clock.now()
  let presses = 0
  for (;;) {
    signal.throwIfAborted()
    if (machine.ended) return 'gone'
    const state = await runStateOf(machine)
    const end = endOf(state)
    if (end) return end
    if (state === 'prelaunch') return 'never-ran'
    const now = clock.now()
    if (now >= deadlineMs() || !canShutDown(machine, parts)) return 'forced'
    if (now >= pressAtMs) {
      await press(machine, state, presses++ === 0, parts)
      pressAtMs = now + PRESS_MS
    }
    await bell.wait(signal, Math.min(pressAtMs, deadlineMs()) - clock.now())
  }
}

/** Nobody in the guest would notice. */
function canShutDown(machine: Machine, { acpi }: StopParts): boolean {
  return acpi || machine.hasAgent
}

function endOf(state: string): StopOutcome | undefined {
  if (state === 'shutdown') return 'shut-down'
  return state === 'guest-panicked' || state === 'internal-error' ? 'crashed' : undefined
}

/** The agent is asked once: it may have ended on its way down. */
async function press(machine: Machine, state: string, isFirst: boolean, parts: StopParts): Promise<void> {
  const { log, signal, acpi } = parts
  try {
    // A guest whose CPUs stand still cannot shut down.
    if (state !== 'running') await machine.command('cont')
    if (machine.hasAgent && (isFirst || !acpi))
      await machine.withAgent((path) => shutDownByAgent(path, 'powerdown', signal))
    else await machine.command('system_powerdown')
  } catch (error) {
    if (error instanceof AgentError || error instanceof UntrustedSocket) {
      log.warn({ err: error }, 'the guest agent does not shut the guest down; using the power button')
      await machine.command('system_powerdown').catch(ignoreMonitor)
    } else ignoreMonitor(error)
  }
}

async function runStateOf(machine: Machine): Promise<string> {
  return machine.runState().catch((error: unknown) => {
    ignoreMonitor(error)
    return 'unknown'
  })
}

/** QEMU does not listen, or not now: the next try or the deadline sees to it. */
function ignoreMonitor(error: unknown): void {
  if (!(error instanceof QmpError || error instanceof QmpClosed || error instanceof QmpTimeout)) throw error
}

/**
 * Ends a QEMU, whatever its guest does: by `quit`, which leaves disks whole, then by signals, `exitMs` apart.
 *
 * Throws `StuckProcess`, and the reason of `signal`.
 */
export async function endQemu(
  process: Launched,
  machine: Machine | undefined,
  signal: AbortSignal,
  exitMs = EXIT_MS,
): Promise<void> {
  if (machine && !machine.ended) {
    await machine.command('quit').catch(ignoreMonitor)
    if (await endsWithin(process, exitMs, signal)) return
  }
  for (const kill of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isAlive(process)) return
    signalProcess(process, kill)
    if (await endsWithin(process, exitMs, signal)) return
  }
  throw new StuckProcess(process.pid)
}
