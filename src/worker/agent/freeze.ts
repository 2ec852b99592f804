import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { AgentError } from '../../qemu/qga/agent.ts'
import { readFreezeStatus } from '../../qemu/qga/answers.ts'
import { UntrustedSocket } from '../files/pin.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import { ask } from './ask.ts'

/** A guest whose file systems are to stand still. */
export interface Frozen {
  /** When it thaws by itself, in milliseconds since 1970; never where absent. */
  thawAtMs?: number
  /** The agent has said that they do. */
  confirmed: boolean
}

/** What freezing and thawing take. */
export interface FreezeParts {
  machine: Pick<Machine, 'withAgent'>
  record: GuestRecord
}

/** A guest with much to write takes its time; whoever asks waits for 60 s. Source: contract worker-qemu 2.14. */
const FREEZE_MS = 45_000
const THAW_MS = 10_000
const STATUS_MS = 5_000

/** Whether the agent says that file systems are frozen. Throws as `ask`. */
export async function isFrozen(machine: FreezeParts['machine']): Promise<boolean> {
  const status = readFreezeStatus(await ask(machine, 'guest-fsfreeze-status', {}, { timeoutMs: STATUS_MS }))
  if (!status) throw new AgentError('guest-fsfreeze-status', 'it answers with no status')
  return status === 'frozen'
}

/**
 * Freezes the guest's file systems. When they thaw by themselves is written down first. Where the agent fails they are
 * thawed again, as some of them may be frozen. Throws as `ask`, and the system's error.
 */
export async function freeze(
  { machine, record }: FreezeParts,
  until: Pick<Frozen, 'thawAtMs'>,
): Promise<void> {
  await record.keep({ frozen: { ...until, confirmed: false } })
  try {
    await ask(machine, 'guest-fsfreeze-freeze', {}, { timeoutMs: FREEZE_MS })
  } catch (error) {
    // Late, or in part: the loop thaws it as soon as the agent answers, if this does not.
    await record.keep({ frozen: { thawAtMs: 0, confirmed: false } })
    await thaw({ machine, record }).catch(() => {})
    throw error
  }
  await record.keep({ frozen: { ...until, confirmed: true } })
}

/** Thaws them. Throws as `ask`, and the system's error. */
export async function thaw({ machine, record }: FreezeParts): Promise<void> {
  await ask(machine, 'guest-fsfreeze-thaw', {}, { timeoutMs: THAW_MS })
  await markThawed(record)
}

/** Writes down that nothing is frozen. */
export async function markThawed(record: GuestRecord): Promise<void> {
  const { agent, frozen } = record.state
  if (agent?.frozen) record.change({ agent: { ...agent, frozen: false } })
  if (frozen) await record.keep({ frozen: undefined })
}

/**
 * An agent has come: brings together what it says and what is written down. What nobody has asked to be frozen, or has
 * been for too long, is thawed: an earlier worker may have died over it. Throws as `ask`, and the system's error.
 */
export async function reconcileFrozen(
  { machine, record }: FreezeParts,
  { clock, log }: { clock: Clock; log: Log },
): Promise<void> {
  const isIt = await isFrozen(machine)
  const { frozen, guest } = record.state
  if (!isIt) {
    await markThawed(record)
  } else if (!frozen || isDue(frozen, clock)) {
    log.warn({ vmi: guest }, 'a guest was left frozen; it is thawed')
    await thaw({ machine, record })
  } else if (!frozen.confirmed) {
    await record.keep({ frozen: { ...frozen, confirmed: true } })
  }
}

/** Whether a frozen guest is to thaw. */
export function isDue({ thawAtMs }: Frozen, clock: Clock): boolean {
  return thawAtMs !== undefined && thawAtMs <= clock.now()
}

/** A guest that is to shut down has to write. One that cannot be thawed is shut down all the same. */
export async function thawForStop(
  machine: Pick<Machine, 'withAgent' | 'hasAgent' | 'command' | 'runState'>,
  record: GuestRecord,
  log: Log,
): Promise<void> {
  if (!record.state.frozen || !machine.hasAgent) return
  try {
    // An agent whose CPUs stand still does not answer; they have to run for what comes next, too.
    if ((await machine.runState()) === 'paused') await machine.command('cont')
    await thaw({ machine, record })
  } catch (error) {
    if (!(error instanceof AgentError || error instanceof UntrustedSocket)) throw error
    log.warn({ err: error, vmi: record.state.guest }, 'a frozen guest is stopped, and does not thaw')
  }
}
