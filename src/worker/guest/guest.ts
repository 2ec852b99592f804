import { refusedSubject } from '../../kinds/kind.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import { VMIS } from '../../kinds/table.ts'
import { badRequest, conflict, serviceUnavailable, type StatusError, timeout } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { QmpClosed, QmpTimeout } from '../../qemu/qmp/client.ts'
import type { GuestRef, GuestReport, RemoveOptions, SyncRequest } from '../../rpc/actions.ts'
import { guestFiles } from '../files/paths.ts'
import type { WorkerParts } from '../parts.ts'
import { Bell } from './bell.ts'
import { Life } from './life.ts'
import type { Machine } from './machine.ts'
import { GuestRecord } from './record.ts'
import type { GuestState } from './state.ts'
import { Turns } from './turns.ts'

/** What an operation on a running guest is given. */
export interface Operation {
  machine: Machine
  record: GuestRecord
}

/**
 * One guest as others see it: what is wanted of it is written down here, and its life, which runs by itself, sees
 * to it. Operations never overlap.
 */
export class Guest implements AsyncDisposable {
  readonly #record: GuestRecord
  readonly #bell: Bell
  readonly #turns = new Turns()
  readonly #life: Life
  readonly #parts: WorkerParts

  /** `state` is new, or what an earlier worker has written. `onGone` is called when the guest is forgotten. */
  constructor(state: GuestState, parts: WorkerParts, onGone: () => void) {
    const files = guestFiles(parts.dirs, state.guest.uid)
    const { clock } = parts
    this.#parts = parts
    this.#record = new GuestRecord({
      state,
      file: files.record,
      clock,
      publish: (guest) => parts.publish({ type: 'report', guest }),
    })
    this.#bell = new Bell(clock)
    this.#life = new Life({
      parts,
      files,
      record: this.#record,
      bell: this.#bell,
      turns: this.#turns,
      onGone,
    })
  }

  get report(): GuestReport {
    return this.#record.report
  }

  /** Begins to see to the guest; resolves once it is known how a QEMU of an earlier worker is doing. */
  async start(): Promise<void> {
    await this.#life.start()
  }

  /** Writes down that the guest exists. Throws the system's error where that is not possible. */
  async save(): Promise<void> {
    await this.#record.keep({})
  }

  /**
   * What the guest is to be. Throws 409 for an epoch that is lower than one seen, and while the guest is removed.
   */
  async sync(request: SyncRequest): Promise<GuestReport> {
    const { epoch, removal, guest } = this.#record.state
    if (request.epoch < epoch) {
      throw refuse(guest, `epoch ${request.epoch} is older than ${epoch}: the guest has changed hands`)
    }
    if (removal) throw refuse(guest, 'it is being removed')
    if (request.epoch > epoch) await this.#record.keep({ epoch: request.epoch })
    const isNews = !isSameJson(request, this.#life.request)
    this.#life.request = request
    if (isNews) this.#life.startOver()
    return this.report
  }

  /** Has the guest shut down and forgotten; a shorter time than given before counts. Throws 400. */
  async remove({ graceSeconds }: RemoveOptions): Promise<void> {
    if (!(graceSeconds >= 0)) throw badRequest(`graceSeconds is ${graceSeconds}; it is a number from 0`)
    const { state } = this.#record
    const deadlineMs = this.#parts.clock.now() + graceSeconds * 1000
    if (state.removal && state.removal.deadlineMs <= deadlineMs) return
    const isNews = !state.removal && state.phase === 'Running'
    await this.#record.keep({
      removal: { deadlineMs },
      rebootUntilMs: undefined,
      ...(isNews &&
        this.#record.withEvents(['Normal', 'ShuttingDown', 'VirtualMachineInstance is shutting down.'])),
    })
    this.#life.startOver()
  }

  /**
   * Does something with the running guest, when its turn comes. Throws 409 where the guest does not run, 503 and 504
   * where its QEMU does not answer.
   */
  async operate<T>(task: (operation: Operation) => Promise<T>): Promise<T> {
    this.machine()
    return this.#turns.call(async () => {
      try {
        return await task({ machine: this.machine(), record: this.#record })
      } catch (error) {
        throw this.#translate(error)
      } finally {
        this.#bell.ring()
      }
    })
  }

  /** The running machine. Throws 409 where the guest does not run, 503 where its QEMU does not answer. */
  machine(): Machine {
    const { phase, removal, guest } = this.#record.state
    if (isFinal(phase)) throw refuse(guest, 'VMI has ended')
    if (phase !== 'Running') throw refuse(guest, 'VMI is not running')
    if (removal) throw refuse(guest, 'VMI is being stopped')
    const { machine } = this.#life
    if (!machine) throw serviceUnavailable(`QEMU of the guest ${guest.name} does not answer`)
    if (machine.ended) throw refuse(guest, 'VMI has just ended')
    return machine
  }

  /** Leaves the guest running. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]()
  }

  #translate(error: unknown): unknown {
    const { guest } = this.#record.state
    if (error instanceof QmpClosed) return refuse(guest, 'VMI has just ended')
    if (error instanceof QmpTimeout)
      return timeout(`QEMU of the guest ${guest.name} does not answer: ${error.message}`)
    return error
  }
}

/** 409 about a guest. */
export function refuse({ name }: GuestRef, message: string): StatusError {
  return conflict(refusedSubject(VMIS), name, message)
}
