import { Duplex } from 'node:stream'
import type { Reading } from '../../src/metrics/reading.ts'
import { notFound } from '../../src/lib/errors.ts'
import type {
  Actions,
  AgentInfo,
  GuestRef,
  GuestReport,
  IncomingReply,
  IncomingRequest,
  MigrationFacts,
  MigrationRef,
  NodeInfo,
  NodeUpdate,
  OutgoingRequest,
  SyncRequest,
} from '../../src/rpc/actions.ts'

/** The one guest of the worker below. */
export const GUEST: GuestRef = {
  uid: '7f1c5f0e-0000-4000-8000-000000000001',
  namespace: 'ns1',
  name: 'vm1',
}

/** What the worker below says of itself. */
export const INFO: NodeInfo = {
  nodeName: 'n1',
  version: '0.1.0',
  rpcVersions: ['1'],
  bootId: 'boot',
  architecture: 'amd64',
  qemuVersion: '7.2.0',
  accelerator: 'tcg',
  acceleratorNote: 'no /dev/kvm',
  machineTypes: ['pc-q35-7.2'],
  cpuModels: ['max'],
  capacity: { cpus: 2, memoryBytes: 2 ** 32 },
}

/** What the agent of its guest says. */
export const AGENT_INFO: AgentInfo = {
  info: { guestAgentVersion: '7.2.22', hostname: 'vm1', os: { id: 'debian' } },
  users: [{ userName: 'root', loginTime: 1.5 }],
  filesystems: [],
}

/** Figures of its guest. */
export const READINGS: Reading[] = [
  { name: 'kubevirt_vmi_memory_domain_bytes', labels: { name: 'vm1', namespace: 'ns1' }, value: 2 ** 30 },
]

/** What its guest's display shows. */
export const PNG = Buffer.from('89504e470d0a1a0a', 'hex')

/** A report on a running guest. */
export function reportOf(guest: GuestRef, epoch = 1): GuestReport {
  return { guest, epoch, phase: 'Running', conditions: [], status: {}, events: [] }
}

/** A request for that guest, as large as its secret. */
export function syncOf({ uid, namespace, name }: GuestRef, secret = ''): SyncRequest {
  return {
    epoch: 3,
    vmi: {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstance',
      metadata: { uid, namespace, name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { domain: { devices: {} } },
    },
    secrets: { s1: { key: secret } },
    configMaps: {},
    config: { allowEmulation: true },
  }
}

/** A guest's side of a stream: everything that comes in goes back. */
class Echo extends Duplex {
  constructor() {
    super({ allowHalfOpen: false })
    this.on('error', () => {})
  }

  override _read(): void {
    // `_write` brings what there is.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.push(chunk)
    done()
  }

  override _final(done: () => void): void {
    this.push(null)
    done()
  }
}

/** A worker that has one guest and writes down what it is asked. */
export class RecordingWorker implements Actions {
  readonly asked: unknown[] = []
  readonly streams: Duplex[] = []
  makeStream: () => Duplex = () => new Echo()
  /** What calls fail with. */
  failure: Error | undefined
  /** Keeps calls waiting while it is there. */
  hold: Promise<void> | undefined
  readonly updates: NodeUpdate[] = [{ type: 'snapshot', guests: [reportOf(GUEST)] }]
  /** How many watch. */
  watchers = 0
  #wake: () => void = () => {}

  /** Something that watches are to be told. */
  tell(update: NodeUpdate): void {
    this.updates.push(update)
    this.#wake()
  }

  async info(): Promise<NodeInfo> {
    await this.#take('info')
    return INFO
  }

  async metrics(): Promise<Reading[]> {
    await this.#take('metrics')
    return READINGS
  }

  async sync(request: SyncRequest): Promise<GuestReport> {
    await this.#take('sync', request)
    const { uid, namespace, name } = request.vmi.metadata
    return reportOf({ uid, namespace, name }, request.epoch)
  }

  async remove(guest: GuestRef, options: { graceSeconds: number }): Promise<void> {
    await this.#take('remove', guest, options)
    this.#check(guest)
  }

  async report(guest: GuestRef): Promise<GuestReport> {
    await this.#take('report', guest)
    this.#check(guest)
    return reportOf(guest)
  }

  async *watch(signal: AbortSignal): AsyncGenerator<NodeUpdate, void, void> {
    this.watchers += 1
    try {
      for (let at = 0; !signal.aborted;) {
        const update = this.updates[at]
        if (update) {
          at += 1
          yield update
        } else await this.#news(signal)
      }
    } finally {
      this.watchers -= 1
    }
  }

  async pause(guest: GuestRef): Promise<void> {
    await this.#take('pause', guest)
    this.#check(guest)
  }

  async unpause(guest: GuestRef): Promise<void> {
    await this.#take('unpause', guest)
  }

  async softreboot(guest: GuestRef): Promise<void> {
    await this.#take('softreboot', guest)
  }

  async reset(guest: GuestRef): Promise<void> {
    await this.#take('reset', guest)
  }

  async freeze(guest: GuestRef, options: object): Promise<void> {
    await this.#take('freeze', guest, options)
  }

  async unfreeze(guest: GuestRef): Promise<void> {
    await this.#take('unfreeze', guest)
  }

  async agentInfo(guest: GuestRef): Promise<AgentInfo> {
    await this.#take('agentInfo', guest)
    return AGENT_INFO
  }

  async screenshot(guest: GuestRef, options: object): Promise<Buffer> {
    await this.#take('screenshot', guest, options)
    return PNG
  }

  async sevPlatform(guest: GuestRef): Promise<Record<string, unknown>> {
    await this.#take('sevPlatform', guest)
    return { pdh: 'cGRo' }
  }

  async sevMeasurement(guest: GuestRef): Promise<Record<string, unknown>> {
    await this.#take('sevMeasurement', guest)
    return { measurement: 'bQ==' }
  }

  async sevInjectSecret(guest: GuestRef, secret: object): Promise<void> {
    await this.#take('sevInjectSecret', guest, secret)
  }

  async backup(guest: GuestRef, options: object): Promise<void> {
    await this.#take('backup', guest, options)
  }

  async redefineCheckpoint(guest: GuestRef, checkpoint: object): Promise<void> {
    await this.#take('redefineCheckpoint', guest, checkpoint)
  }

  async console(guest: GuestRef, options: object): Promise<Duplex> {
    await this.#take('console', guest, options)
    this.#check(guest)
    return this.#open()
  }

  async consoleLog(guest: GuestRef, options: object): Promise<Duplex> {
    await this.#take('consoleLog', guest, options)
    return this.#open()
  }

  async vnc(guest: GuestRef, options: object): Promise<Duplex> {
    await this.#take('vnc', guest, options)
    return this.#open()
  }

  async usbredir(guest: GuestRef): Promise<Duplex> {
    await this.#take('usbredir', guest)
    return this.#open()
  }

  async vsock(guest: GuestRef, options: object): Promise<Duplex> {
    await this.#take('vsock', guest, options)
    return this.#open()
  }

  async guestExec(guest: GuestRef, options: object): Promise<Duplex> {
    await this.#take('guestExec', guest, options)
    return this.#open()
  }

  async portForward(guest: GuestRef, options: object): Promise<Duplex> {
    await this.#take('portForward', guest, options)
    return this.#open()
  }

  async migrationFacts(ref: MigrationRef): Promise<MigrationFacts> {
    await this.#take('migrationFacts', ref)
    return { form: 1, facts: { machine: 'pc-q35-7.2' } }
  }

  async prepareIncoming(request: IncomingRequest): Promise<IncomingReply> {
    await this.#take('prepareIncoming', request)
    return { address: '192.0.2.1', ports: { '40000': 49_152 } }
  }

  async startOutgoing(request: OutgoingRequest): Promise<void> {
    await this.#take('startOutgoing', request)
  }

  async cancelMigration(ref: MigrationRef): Promise<void> {
    await this.#take('cancelMigration', ref)
  }

  async releaseMigration(ref: MigrationRef, epoch: number): Promise<void> {
    await this.#take('releaseMigration', ref, epoch)
  }

  async reclaimMigration(ref: MigrationRef, epoch: number): Promise<void> {
    await this.#take('reclaimMigration', ref, epoch)
  }

  async #take(...words: unknown[]): Promise<void> {
    this.asked.push(words)
    await this.hold
    if (this.failure) throw this.failure
  }

  #check({ uid }: GuestRef): void {
    if (uid !== GUEST.uid) throw notFound({ group: '', kind: 'guest' }, uid)
  }

  #open(): Duplex {
    const stream = this.makeStream()
    this.streams.push(stream)
    return stream
  }

  async #news(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
  }
}
