import { stat } from 'node:fs/promises'
import { timestamp } from '../../lib/clock.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import { unlessMissing } from '../files/errno.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestEnd } from '../guest/end.ts'
import { allowedMs, Convergence, type Decision, type Sample } from './convergence.ts'
import { formatFailure, type FailureKind, failureOf, MigrationFailed } from './failure.ts'
import { handOver, isHandedOver } from './hand-over.ts'
import { checkMirrors, copyDisks, finishMirrors } from './mirror.ts'
import { topologyOf } from './hardware.ts'
import type { MoveParts, Step } from './mover.ts'
import { CHANNELS, portOf, sourceCapabilities, sourceParameters, stateUri } from './options.ts'
import { isUnderWay, type MigrateInfo, queryMigrate } from './query.ts'
import type { OutgoingState } from './state.ts'
import { reclaim, takeBack } from './take-back.ts'
import { addTls, removeTlsFiles, tlsDir } from './tls.ts'

/** Between looks at a migration that is under way. Source: contract 5.2, step 6. */
const LOOK_MS = 400
/** Between looks while the guest stands still, or is about to go on. */
const SOON_MS = 20
/** A switch-over that takes longer is taken back. */
const SWITCH_MS = 30_000
/** Post-copy that is cut off is taken up again for so long. Source: contract 5.5. */
const RECOVER_MS = 300_000
const RECOVER_PAUSE_MS = 2_000

/** What became of a guest whose memory is spread over two nodes that have lost each other. */
const LOST: GuestEnd = {
  phase: 'Failed',
  reason: 'MigrationFailed',
  message: 'the connection was lost while the guest ran on the target and its memory was still here',
}

/** The source's side of one migration. What is here is lost with the worker, and not needed by the next one. */
export class Outgoing {
  readonly #parts: MoveParts
  readonly #uid: string
  #convergence: Convergence | undefined
  /** QEMU has the certificates. */
  #isLoaded = false
  #switchingSinceMs: number | undefined
  #failingSinceMs: number | undefined
  #brokenSinceMs: number | undefined

  constructor(parts: MoveParts, uid: string) {
    this.#parts = parts
    this.#uid = uid
  }

  /** Whether this is about that migration. */
  isFor({ uid }: OutgoingState): boolean {
    return uid === this.#uid
  }

  /** Takes one step. Throws as `Machine.command`, and the system's error where nothing can be written down. */
  async step(machine: Machine, move: OutgoingState): Promise<Step> {
    try {
      if (move.step === 'mirroring') return await this.#mirror(machine, move)
      if (move.step === 'sending') return await this.#follow(machine, move)
    } catch (error) {
      if (error instanceof MigrationFailed) return this.#fail(move, formatFailure(error.kind, error.message))
      if (error instanceof QmpError || error instanceof RangeError)
        return this.#fail(move, failureOf(error instanceof QmpError ? error.desc : error.message))
      throw error
    }
    if (move.step === 'failing') {
      this.#failingSinceMs ??= this.#parts.clock.now()
      return takeBack(machine, move, this.#parts, this.#failingSinceMs)
    }
    return move.step === 'reclaiming' ? reclaim(machine, move, this.#parts) : {}
  }

  /** What is to be done is written down; the next step does it. */
  async #fail(move: OutgoingState, failure: string): Promise<Step> {
    this.#parts.log.warn(
      { vmi: this.#parts.record.state.guest, migration: move.uid, failure },
      'a migration fails',
    )
    await this.#keep({ ...move, step: 'failing', failure })
    return 'again'
  }

  async #mirror(machine: Machine, move: OutgoingState): Promise<Step> {
    if (!this.#isLoaded) await this.#loadTls(machine, move)
    this.#isLoaded = true
    const { ready, totalBytes, doneBytes } = await copyDisks(machine, move)
    if (!ready) {
      const progress = {
        totalBytes,
        remainingBytes: totalBytes - doneBytes,
        transferredBytes: doneBytes,
        iteration: 0,
      }
      const decision = this.#judge(move, { ...progress, bytesPerSecond: 0 })
      if (decision.kind === 'cancel') throw new MigrationFailed(decision.failure, decision.message)
      if (decision.kind !== 'wait') throw new MigrationFailed('timeout', 'the disks were not copied in time')
      this.#parts.record.change({ migration: { ...move, progress } })
      return { waitMs: LOOK_MS, observe: true }
    }
    const sending: OutgoingState = { ...move, step: 'sending' }
    await this.#keep(sending)
    // What counts from now on is the memory.
    this.#convergence = undefined
    await this.#send(machine, sending)
    return 'again'
  }

  /** QEMU reads the files once; on adoption it has. */
  async #loadTls(machine: Machine, { peerName }: OutgoingState): Promise<void> {
    const dir = tlsDir(this.#parts.files)
    const isThere = (await unlessMissing(stat(dir))) !== undefined
    if (peerName !== undefined && isThere) await addTls(machine, dir, 'client', peerName)
    await removeTlsFiles(dir)
  }

  async #send(machine: Machine, move: OutgoingState): Promise<void> {
    const { options, target, disks, peerName } = move
    await machine.command('migrate-set-capabilities', {
      capabilities: sourceCapabilities(options, {
        hasMirrors: disks.length > 0,
        targetTakesPostCopy: target.postCopy === true,
      }),
    })
    await machine.command('migrate-set-parameters', sourceParameters(options, peerName))
    await machine.command('migrate', { uri: stateUri(target.address, portOf(target.ports, CHANNELS.state)) })
  }

  async #follow(machine: Machine, move: OutgoingState): Promise<Step> {
    const info = await queryMigrate(machine)
    const state = await machine.runState()
    switch (info.status) {
      case 'completed':
        if (isHandedOver(info, state)) return handOver(machine, move, info, this.#parts)
        // Of this migration, and about to be over; or of one that has brought the guest here.
        if (state === 'finish-migrate') return { waitMs: SOON_MS }
        break
      case 'failed':
        return this.#fail(move, failureOf(info['error-desc']))
      case 'cancelled':
        return this.#fail(move, formatFailure('internal', 'somebody else has cancelled it'))
      case 'pre-switchover':
        return this.#switchOver(machine, move)
      case 'postcopy-paused':
        return this.#recover(machine, move)
      default:
        if (isUnderWay(info.status)) return this.#watch(machine, move, info)
    }
    // Written down and not done: the worker crashed in between.
    await this.#send(machine, move)
    return 'again'
  }

  async #watch(machine: Machine, move: OutgoingState, info: MigrateInfo): Promise<Step> {
    this.#brokenSinceMs = undefined
    const { ram, status } = info
    const isPostCopy = status?.startsWith('postcopy') === true
    const progress = {
      totalBytes: ram?.total ?? 0,
      remainingBytes: ram?.remaining ?? 0,
      transferredBytes: ram?.transferred ?? 0,
      iteration: ram?.['dirty-sync-count'] ?? 0,
    }
    const sent = ((ram?.mbps ?? 0) / 8) * 1e6
    const seen: OutgoingState = {
      ...move,
      progress,
      ...(isPostCopy && { mode: 'PostCopy' as const }),
      ...(ram && { rates: { dirty: ram['dirty-pages-rate'] * ram['page-size'], sent } }),
    }
    if (isPostCopy && move.mode !== 'PostCopy') await this.#keep(seen)
    else this.#parts.record.change({ migration: seen })
    if (!ram || status !== 'active') return { waitMs: isPostCopy ? LOOK_MS : SOON_MS }
    // A copy that breaks later would leave the target with an old disk.
    await checkMirrors(machine, move)
    const decision = this.#judge(seen, { ...progress, bytesPerSecond: sent })
    await this.#carryOut(machine, seen, decision)
    return { waitMs: LOOK_MS, observe: true }
  }

  #judge(move: OutgoingState, sample: Omit<Sample, 'atMs'>): Decision {
    const { options, disks, startTime, mode } = move
    const { clock, record } = this.#parts
    const { memoryBytes } = topologyOf(record.state.build?.hardware ?? [])
    const bytes = memoryBytes + disks.reduce((all, { virtualBytes }) => all + virtualBytes, 0)
    this.#convergence ??= new Convergence(options, {
      startMs: startTime === undefined ? clock.now() : Date.parse(startTime),
      allowedMs: allowedMs(options.completionSecondsPerGiB, bytes),
      limitMs: Math.min(options.maxDowntimeMs, 300),
      disrupts: mode === 'Paused',
    })
    return this.#convergence.judge({ atMs: clock.now(), ...sample })
  }

  async #carryOut(machine: Machine, move: OutgoingState, decision: Decision): Promise<void> {
    const { log, record } = this.#parts
    if (decision.kind === 'wait') return
    log.info(
      { vmi: record.state.guest, migration: move.uid, decision },
      'a migration needs help to come to its end',
    )
    if (decision.kind === 'cancel') throw new MigrationFailed(decision.failure, decision.message)
    if (decision.kind === 'downtime') {
      if (decision.disrupts) await this.#keep({ ...move, mode: 'Paused' })
      await machine.command('migrate-set-parameters', { 'downtime-limit': decision.limitMs })
      return
    }
    if (move.target.postCopy !== true) {
      const why = 'the target cannot take memory on demand, and the guest writes faster than it can be sent'
      throw new MigrationFailed('timeout', why)
    }
    // From now on nobody can take it back.
    await this.#keep({ ...move, mode: 'PostCopy' })
    await machine.command('migrate-start-postcopy')
  }

  /** The guest stands still: its disks are brought to their end, then its state may go. */
  async #switchOver(machine: Machine, move: OutgoingState): Promise<Step> {
    const now = this.#parts.clock.now()
    this.#switchingSinceMs ??= now
    if (now - this.#switchingSinceMs > SWITCH_MS)
      throw new MigrationFailed('storage', 'the copies of the disks did not come to their end')
    if (!(await finishMirrors(machine, move))) return { waitMs: SOON_MS }
    // Told so a moment ago, it may be on its way already.
    await machine.command('migrate-continue', { state: 'pre-switchover' }).catch(ignoreRefusal)
    return { waitMs: SOON_MS }
  }

  /** Post-copy was cut off: both sides wait. Source: contract 2.10, 5.5. */
  async #recover(machine: Machine, move: OutgoingState): Promise<Step> {
    const now = this.#parts.clock.now()
    this.#brokenSinceMs ??= now
    if (now - this.#brokenSinceMs > RECOVER_MS) return this.#lose(move)
    const uri = stateUri(move.target.address, portOf(move.target.ports, CHANNELS.state))
    await machine.command('migrate', { uri, resume: true }).catch(ignoreRefusal)
    return { waitMs: RECOVER_PAUSE_MS }
  }

  async #lose(move: OutgoingState): Promise<Step> {
    const failure = formatFailure('target-unreachable', LOST.message)
    await this.#keep({
      ...move,
      step: 'failed',
      failure,
      guestLost: true,
      endTime: timestamp(this.#parts.clock),
    })
    return { end: LOST }
  }

  async #keep(migration: OutgoingState): Promise<void> {
    await this.#parts.record.keep({ migration })
  }
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof QmpError)) throw error
}

/** Why a migration was given up that somebody wanted to end. */
export const ABORTED = formatFailure('aborted' satisfies FailureKind, 'it was cancelled')
