import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { GuestEnd } from '../guest/end.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestRecord } from '../guest/record.ts'
import { MigrationFailed } from './failure.ts'
import { Incoming } from './incoming.ts'
import { Outgoing } from './outgoing.ts'
import { isArriving, isMoving } from './state.ts'

/** What both sides of a migration work with. */
export interface MoveParts {
  record: GuestRecord
  files: GuestFiles
  clock: Clock
  log: Log
}

/**
 * What to do after a step: look again at once, or when something happens or after a time; `observe`: the guest runs
 * here and is looked at as ever; or the guest has ended; or it will not come, and what waits for it has to go.
 */
export type Step =
  | 'again'
  | { end: GuestEnd }
  | { notArrived: Error }
  | { waitMs?: number; observe?: boolean }

const TROUBLED_MS = 1_000

/**
 * Moves one guest, step by step, as part of its life: what there is decides, so that it goes on from wherever a crash
 * has left it.
 */
export class Mover {
  readonly #parts: MoveParts
  #outgoing: Outgoing | undefined
  #incoming: Incoming | undefined

  constructor(parts: MoveParts) {
    this.#parts = parts
  }

  /** One step with the guest's machine; `undefined` where the guest is not on its way. */
  async step(machine: Machine): Promise<Step | undefined> {
    const { migration } = this.#parts.record.state
    if (!migration || !isMoving(migration)) return undefined
    try {
      if (migration.side === 'target') {
        if (!this.#incoming?.isFor(migration)) this.#incoming = new Incoming(this.#parts, migration.uid)
        return await this.#incoming.step(machine, migration)
      }
      if (!this.#outgoing?.isFor(migration)) this.#outgoing = new Outgoing(this.#parts, migration.uid)
      return await this.#outgoing.step(machine, migration)
    } catch (error) {
      if (isArriving(migration) && (error instanceof MigrationFailed || error instanceof QmpError))
        return { notArrived: error }
      // The machine reconnects, or notices that QEMU has ended; either rings.
      if (error instanceof QmpClosed) return {}
      if (!(error instanceof QmpTimeout)) throw error
      this.#parts.log.warn(
        { err: error, vmi: this.#parts.record.state.guest },
        'QEMU of a guest that moves is slow',
      )
      return { waitMs: TROUBLED_MS }
    }
  }
}
