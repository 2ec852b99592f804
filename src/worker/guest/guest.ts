import type { Duplex } from 'node:stream'
import { refusedSubject } from '../../kinds/kind.ts'
import { isFinal } from '../../kinds/kubevirt.ts'
import { VMIS } from '../../kinds/table.ts'
import { badRequest, conflict, serviceUnavailable, type StatusError, timeout } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { QmpClosed, QmpTimeout } from '../../qemu/qmp/client.ts'
import type {
  AgentInfo,
  GuestRef,
  GuestReport,
  IncomingRequest,
  PortForwardOptions,
  RemoveOptions,
  SyncRequest,
} from '../../rpc/actions.ts'
import type { ObservedGuest } from '../figures/guest.ts'
import { clearHold } from '../fence/hold.ts'
import { type GuestFiles, guestFiles } from '../files/paths.ts'
import { ABORTED } from '../migration/outgoing.ts'
import { abort, isArriving, isHandedOver, isMoving, isSending } from '../migration/state.ts'
import type { Tap } from '../network/bridge/tap.ts'
import type { WorkerParts } from '../parts.ts'
import { ConsoleLog } from '../streams/console-log.ts'
import type { Execs } from '../agent/exec/execs.ts'
import { Bell } from './bell.ts'
import { Life } from './life.ts'
import { resume } from './observe.ts'
import type { Machine } from './machine.ts'
import { GuestRecord, type Happened } from './record.ts'
import type { GuestState } from './state.ts'
import { Turns } from './turns.ts'

/** What an operation on a running guest is given. */
export interface Operation {
  machine: Machine
  record: GuestRecord
}

/** What moving a guest is given. */
export interface MoveHost {
  record: GuestRecord
  parts: WorkerParts
  files: GuestFiles
  /** Absent where no QEMU is connected. */
  machine: Machine | undefined
  /** The guest is to come from another node, as this says. */
  expect: (request: IncomingRequest) => void
  /** What is being done about a guest that does not run yet is dropped. */
  giveUp: () => void
}

/** What stands around a guest. */
export interface GuestSurroundings {
  /** Called when the guest is forgotten. */
  onGone: () => void
  /** Cards of the node's other guests that are on bridges. */
  others: () => readonly Tap[]
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

  /** `state` is new, or what an earlier worker has written. */
  constructor(state: GuestState, parts: WorkerParts, { onGone, others }: GuestSurroundings) {
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
      others,
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
    await this.#markFailover(request.failover === true)
    const isNews = !isSameJson(request, this.#life.request)
    this.#life.request = request
    // One that is on its way here is not started for that.
    if (isNews && !isArriving(this.#record.state.migration)) this.#life.startOver()
    await this.#release()
    return this.report
  }

  /** Written down before it is said: the guard goes by it. Without a guard the guest is not one to be started elsewhere. */
  async #markFailover(isWanted: boolean): Promise<void> {
    const { failover: before } = this.#record.state
    // A promise that was given holds until a leader takes it back.
    const failover = isWanted ? (this.#parts.fence.armedSeconds() ?? before) : undefined
    if (failover !== before) await this.#record.keep({ failover })
  }

  /** A leader has asked for the guest: it is still this node's, and goes on where it was stopped for want of one. */
  async #release(): Promise<void> {
    const { record, files, log } = { record: this.#record, ...this.#place() }
    if (record.state.pausedBy !== 'fence' || this.#parts.fence.isCutOff()) return
    await this.operate(async ({ machine }) => {
      await clearHold(files)
      if ((await machine.runState()) === 'paused') await resume(machine, log)
      const event = record.withEvents(['Normal', 'Unpaused', 'A controller was heard of again.'])
      await record.keep({ pausedBy: undefined, ...event })
    })
  }

  #place() {
    const { dirs, log } = this.#parts
    return { files: guestFiles(dirs, this.#record.state.guest.uid), log }
  }

  /** Has the guest shut down and forgotten; a shorter time than given before counts. Throws 400. */
  async remove({ graceSeconds }: RemoveOptions): Promise<void> {
    if (!(graceSeconds >= 0)) throw badRequest(`graceSeconds is ${graceSeconds}; it is a number from 0`)
    const { state } = this.#record
    const deadlineMs = this.#parts.clock.now() + graceSeconds * 1000
    if (state.removal && state.removal.deadlineMs <= deadlineMs) return
    const isNews = !state.removal && state.phase === 'Running'
    const { migration } = state
    await this.#record.keep({
      removal: { deadlineMs },
      // The guest comes back first: it shuts down where it runs.
      ...(isSending(migration) && { migration: abort(migration, ABORTED) }),
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
      const { migration, guest } = this.#record.state
      if (isMoving(migration))
        throw refuse(guest, 'VMI is being migrated: wait until that is over, or cancel it')
      try {
        return await task({ machine: this.machine(), record: this.#record })
      } catch (error) {
        throw this.#translate(error)
      } finally {
        this.#bell.ring()
      }
    })
  }

  /** Does something about the guest's moving, when its turn comes; its life looks at it afterwards. */
  async move<T>(task: (host: MoveHost) => Promise<T>): Promise<T> {
    return this.#turns.call(async () => {
      try {
        return await task({
          record: this.#record,
          parts: this.#parts,
          files: guestFiles(this.#parts.dirs, this.#record.state.guest.uid),
          machine: this.#life.crew.machine,
          expect: (request) => (this.#life.incoming = request),
          giveUp: () => this.#life.startOver(),
        })
      } catch (error) {
        throw this.#translate(error)
      } finally {
        this.#bell.ring()
      }
    })
  }

  /** What is written down of the guest, as soon as it `matches`. Throws the reason of `signal`. */
  async until(
    matches: (state: Readonly<GuestState>) => boolean,
    signal?: AbortSignal,
  ): Promise<Readonly<GuestState>> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const check = (): void => void (matches(this.#record.state) && resolve())
    const abandon = (): void => reject(signal?.reason)
    const off = this.#record.onChange(check)
    signal?.addEventListener('abort', abandon, { once: true })
    try {
      check()
      await promise
      return this.#record.state
    } finally {
      off()
      signal?.removeEventListener('abort', abandon)
    }
  }

  /** Does something that need not wait for its turn. Throws 409 and 504 for a QEMU that does not answer, as `operate`. */
  async attempt<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (error) {
      throw this.#translate(error)
    }
  }

  /** Tells those who watch that something happened to the guest. Not written down. */
  note(...happened: Happened[]): void {
    this.#record.change(this.#record.withEvents(...happened))
  }

  /**
   * What the guest has printed at its serial port, also where it has ended. Throws 400 where nothing is written down of it,
   * 503 where its QEMU does not answer.
   */
  consoleLog(): ConsoleLog {
    const { hasSerial, logsSerial, phase, guest } = this.#record.state
    if (!hasSerial) throw badRequest('the guest has no serial console: autoattachSerialConsole is false')
    if (logsSerial === false) throw badRequest('what the guest prints is not kept: logSerialConsole is false')
    const { machine } = this.#life.crew
    if (machine?.consoleLog) return machine.consoleLog
    if (phase === 'Running') throw serviceUnavailable(`QEMU of the guest ${guest.name} does not answer`)
    const { dirs, clock, log } = this.#parts
    const past = new ConsoleLog({ file: guestFiles(dirs, guest.uid).serialLog, clock, log })
    past.finish()
    return past
  }

  /** Seconds without a word of a leader after which the guest is stopped; absent where it is not. */
  get failover(): number | undefined {
    return this.#record.state.failover
  }

  /** The running machine. Throws 409 where the guest does not run, 503 where its QEMU does not answer. */
  machine(): Machine {
    const { phase, removal, guest, migration } = this.#record.state
    if (isFinal(phase)) throw refuse(guest, 'VMI has ended')
    if (phase !== 'Running') throw refuse(guest, 'VMI is not running')
    if (removal) throw refuse(guest, 'VMI is being stopped')
    if (isHandedOver(migration)) throw refuse(guest, 'VMI has just moved to another node: try again')
    const { machine } = this.#life.crew
    if (!machine) throw serviceUnavailable(`QEMU of the guest ${guest.name} does not answer`)
    if (machine.ended) throw refuse(guest, 'VMI has just ended')
    return machine
  }

  /** What the guest's agent has said last. Throws 409 where the guest does not run, or has none. */
  agentInfo(): AgentInfo {
    this.machine()
    return this.#life.crew.agent.info()
  }

  /** What is read of the guest for metrics; `undefined` where it does not run, or nobody has said yet what it is to be. */
  observed(): ObservedGuest | undefined {
    const { crew, request } = this.#life
    const { machine, agent } = crew
    const { state } = this.#record
    if (!machine || machine.ended || !request || state.phase !== 'Running') return undefined
    return {
      state,
      vmi: request.vmi,
      machine,
      agent: agent.hasSpoken() ? agent.info() : undefined,
      load: agent.load(),
    }
  }

  /** What running programs in the guest takes, besides its machine. */
  agentWork(): { state: Readonly<GuestState>; execs: Execs } {
    return { state: this.#record.state, execs: this.#life.crew.agent.execs }
  }

  /** Its cards on bridges, as they are written down. */
  get taps(): readonly Tap[] {
    return this.#record.state.taps ?? []
  }

  /** A connection to a port in the guest, as `dialGuestPort` makes it. */
  async dialPort(
    machine: Machine,
    port: PortForwardOptions,
    signal: AbortSignal,
  ): Promise<Duplex | undefined> {
    return this.#life.crew.dialPort(machine, port, signal)
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
