import type { Duplex } from 'node:stream'
import { GuestAgent } from '../agent/guest-agent.ts'
import type { Tap } from '../network/bridge/tap.ts'
import { dialGuestPort } from '../network/guest-port.ts'
import { Probes } from '../probes/probes.ts'
import type { WorkerParts } from '../parts.ts'
import type { PortForwardOptions, SyncRequest } from '../../rpc/actions.ts'
import type { Bell } from './bell.ts'
import type { Machine } from './machine.ts'
import type { GuestRecord } from './record.ts'
import type { Turns } from './turns.ts'

/** What a crew is made from. */
export interface CrewOptions {
  parts: WorkerParts
  record: GuestRecord
  bell: Bell
  turns: Turns
  /** Cards of the node's other guests that are on bridges. */
  others: () => readonly Tap[]
}

/** The QEMU that we are connected to, and what goes along with it: the guest's agent and its probes. */
export class Crew implements AsyncDisposable {
  machine: Machine | undefined
  readonly agent: GuestAgent
  readonly #probes: Probes
  readonly #options: CrewOptions

  constructor(options: CrewOptions) {
    this.#options = options
    const { record, turns, parts, bell } = options
    const { clock, log } = parts
    this.#probes = new Probes({
      record,
      clock,
      log,
      dial: (machine, port, signal) => this.dialPort(machine, { port, protocol: 'tcp' }, signal),
      onFailure: () => bell.ring(),
    })
    this.agent = new GuestAgent({ record, turns, clock, log })
  }

  /** Sees to agent and probes of a guest that runs; answers why it is not alive, if it is not. */
  look(machine: Machine, request: SyncRequest | undefined): string | undefined {
    this.agent.look(machine)
    this.#probes.look(machine, request?.vmi.spec)
    return this.#probes.failure
  }

  /** A connection to a port in the guest, as `dialGuestPort` makes it. */
  async dialPort(
    machine: Machine,
    port: PortForwardOptions,
    signal: AbortSignal,
  ): Promise<Duplex | undefined> {
    const { record, parts, others } = this.#options
    const { taps, clock, log } = parts
    return dialGuestPort(port, { machine, record, others: others(), taps, clock, log, signal })
  }

  /** Lets go of a QEMU; another one may come. */
  async leave(): Promise<void> {
    await this.#probes.leave()
    await this.agent.leave()
    await this.machine?.[Symbol.asyncDispose]()
    this.machine = undefined
  }

  /** Begins nothing new; what goes on ends by itself. */
  close(): void {
    this.machine?.drain()
    this.agent.close()
    this.#probes.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine?.[Symbol.asyncDispose]()
    await this.#probes[Symbol.asyncDispose]()
    await this.agent[Symbol.asyncDispose]()
    this.machine = undefined
  }
}
