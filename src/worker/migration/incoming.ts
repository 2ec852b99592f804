import { timestamp } from '../../lib/clock.ts'
import { askAgent } from '../../qemu/qga/agent.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { GuestEnd } from '../guest/end.ts'
import type { Machine } from '../guest/machine.ts'
import { formatFailure, MigrationFailed } from './failure.ts'
import type { MoveParts, Step } from './mover.ts'
import { CHANNELS, portOf, stateUri, targetParameters } from './options.ts'
import { isUnderWay, type MigrateInfo, queryMigrate } from './query.ts'
import type { IncomingState } from './state.ts'
import { removeTls, removeTlsFiles, tlsDir } from './tls.ts'

/** Between looks while nothing is heard. */
const LOOK_MS = 1_000
/** No event tells that the guest's CPUs are ready in post-copy. */
const SOON_MS = 5
/** An image may be locked for a moment by the QEMU that just let it go. */
const RESUME_MS = 10_000
const RESUME_PAUSE_MS = 50
const RECOVER_MS = 300_000
const RECOVER_PAUSE_MS = 2_000

const LOST: GuestEnd = {
  phase: 'Failed',
  reason: 'MigrationFailed',
  message: 'the connection to the source was lost while memory of the guest was still there',
}

/** The target's side of one migration. What is here is lost with the worker, and not needed by the next one. */
export class Incoming {
  readonly #parts: MoveParts
  readonly #uid: string
  #resumingSinceMs: number | undefined
  #brokenSinceMs: number | undefined

  constructor(parts: MoveParts, uid: string) {
    this.#parts = parts
    this.#uid = uid
  }

  /** Whether this is about that migration. */
  isFor({ uid }: IncomingState): boolean {
    return uid === this.#uid
  }

  /**
   * Takes one step with a QEMU that listens. Throws `MigrationFailed` where the guest will not come, and as
   * `Machine.command`.
   */
  async step(machine: Machine, move: IncomingState): Promise<Step> {
    const info = await queryMigrate(machine)
    switch (info.status) {
      case 'failed':
        // It ended its part before the guest could run here.
        if (isBefore(move))
          throw new MigrationFailed('internal', info['error-desc'] ?? 'the source broke off')
        return this.#lose(move)
      case 'completed':
        return move.step === 'filling' ? this.#finish(machine, move) : this.#resume(machine, move, true)
      case 'postcopy-active':
        if (move.step === 'filling') return { waitMs: LOOK_MS, observe: true }
        return (await machine.runState()) === 'inmigrate'
          ? { waitMs: SOON_MS }
          : this.#resume(machine, move, false)
      case 'postcopy-paused':
        return this.#recover(machine, move)
      default:
        return this.#watch(move, info)
    }
  }

  async #watch(move: IncomingState, { status }: MigrateInfo): Promise<Step> {
    this.#brokenSinceMs = undefined
    // Until the source connects it is `setup`, or nothing.
    if (move.step === 'ready' && status !== 'setup' && isUnderWay(status))
      this.#parts.record.change({ migration: { ...move, step: 'receiving', startTime: this.#now() } })
    return { waitMs: LOOK_MS }
  }

  /**
   * All is here. It is written down before the CPUs run, since afterwards the guest must never run at the source
   * again; while they have not, it may.
   */
  async #resume(machine: Machine, move: IncomingState, isWhole: boolean): Promise<Step> {
    const { record, clock } = this.#parts
    const resuming: IncomingState = { ...move, step: 'resuming' }
    if (move.step !== 'resuming') await record.keep({ migration: resuming })
    this.#resumingSinceMs ??= clock.now()
    try {
      await this.#run(machine, move)
    } catch (error) {
      if (!(error instanceof QmpError)) throw error
      if (clock.now() - this.#resumingSinceMs < RESUME_MS) return { waitMs: RESUME_PAUSE_MS }
      throw new MigrationFailed('storage', `the guest cannot go on here: ${error.desc}`, error)
    }
    const now = this.#now()
    const arrived: IncomingState = {
      ...resuming,
      step: isWhole ? 'done' : 'filling',
      mode: isWhole ? (move.mode ?? 'PreCopy') : 'PostCopy',
      readyTime: now,
      ...(isWhole && { endTime: now }),
    }
    await record.keep({
      phase: 'Running',
      pausedBy: move.paused ? 'user' : undefined,
      reason: undefined,
      message: undefined,
      trouble: undefined,
      failedStarts: 0,
      migration: arrived,
    })
    this.#parts.log.info({ vmi: record.state.guest, migration: move.uid }, 'a guest has arrived')
    if (isWhole) await this.#cleanUp(machine)
    await this.#greet(machine)
    return 'again'
  }

  async #run(machine: Machine, { disks, paused }: IncomingState): Promise<void> {
    if (disks.length > 0 && (await hasExports(machine))) await machine.command('nbd-server-stop')
    for (const name of this.#parts.record.state.launch?.linksDown ?? [])
      await machine.command('set_link', { name, up: false })
    const state = await machine.runState()
    // Any other state is what has stopped it at the source, and is looked at as ever.
    if (!paused && (state === 'paused' || state === 'prelaunch')) await machine.command('cont')
  }

  /** The agent's port came with the guest, and the clock has stood still for a moment. */
  async #greet(machine: Machine): Promise<void> {
    await machine.findAgent()
    if (!machine.hasAgent) return
    // Nobody waits for it: an agent may take its time.
    void machine
      .withAgent((path) => askAgent(path, 'guest-set-time'))
      .catch((error: unknown) =>
        this.#parts.log.debug({ err: error }, 'the guest agent did not set the clock'),
      )
  }

  async #finish(machine: Machine, move: IncomingState): Promise<Step> {
    await this.#parts.record.keep({ migration: { ...move, step: 'done', endTime: this.#now() } })
    await this.#cleanUp(machine)
    return 'again'
  }

  async #cleanUp(machine: Machine): Promise<void> {
    await machine.command('migrate-set-parameters', targetParameters(false)).catch((error: unknown) => {
      if (!(error instanceof QmpError)) throw error
    })
    await removeTls(machine)
    await removeTlsFiles(tlsDir(this.#parts.files))
  }

  /** Post-copy was cut off: waits for the source at the same place. Source: contract 2.10. */
  async #recover(machine: Machine, move: IncomingState): Promise<Step> {
    const now = this.#parts.clock.now()
    this.#brokenSinceMs ??= now
    if (now - this.#brokenSinceMs > RECOVER_MS || !move.reply) return this.#lose(move)
    const uri = stateUri(move.reply.address, portOf(move.reply.ports, CHANNELS.state))
    await machine.command('migrate-recover', { uri }).catch((error: unknown) => {
      // It listens already.
      if (!(error instanceof QmpError)) throw error
    })
    return { waitMs: RECOVER_PAUSE_MS }
  }

  async #lose(move: IncomingState): Promise<Step> {
    await this.#parts.record.keep({
      migration: {
        ...move,
        step: 'failed',
        failure: formatFailure('target-unreachable', LOST.message),
        guestLost: true,
        endTime: this.#now(),
      },
    })
    return { end: LOST }
  }

  #now(): string {
    return timestamp(this.#parts.clock)
  }
}

function isBefore({ step }: IncomingState): boolean {
  return step !== 'filling'
}

async function hasExports(machine: Machine): Promise<boolean> {
  return (await machine.command<unknown[]>('query-block-exports')).length > 0
}
