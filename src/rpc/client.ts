import { formatExact } from '../lib/exact-json.ts'
import type { Duplex } from 'node:stream'
import type {
  Actions,
  AgentInfo,
  BackupCheckpoint,
  BackupOptions,
  ConsoleLogOptions,
  ConsoleOptions,
  ExecOptions,
  FreezeOptions,
  GuestRef,
  GuestReport,
  IncomingReply,
  IncomingRequest,
  MigrationFacts,
  MigrationRef,
  NodeInfo,
  NodeUpdate,
  OutgoingRequest,
  PortForwardOptions,
  RemoveOptions,
  ScreenshotOptions,
  SevSecret,
  SyncRequest,
  VncOptions,
  VsockOptions,
} from './actions.ts'
import {
  checkAgentInfo,
  checkInfo,
  checkPng,
  checkReadings,
  checkRecord,
  checkReport,
  checkUpdate,
} from './check.ts'
import type { Reading } from '../metrics/reading.ts'
import { checkFacts, checkReply } from './options.ts'
import { Transport, type CallOptions, type ConnectOptions } from './transport.ts'
import type { RpcTls } from './wire.ts'

export type { ConnectOptions } from './transport.ts'

/** A guest may take its time to write out what it has; the worker's own limit is shorter. */
const AGENT_TIMEOUT_MS = 60_000
/** Dialling into a guest is given up after 10 s, by the worker. */
const FORWARD_TIMEOUT_MS = 15_000
/** Images are pulled and a QEMU is started meanwhile. */
const PREPARE_TIMEOUT_MS = 600_000

/** A worker at the other end of the wire. Connections are made as they are needed. */
export interface NodeClient extends Actions, AsyncDisposable {
  /** Uses another certificate for new connections. */
  reload(tls: RpcTls): void
  /** When the worker answered last, by `monotonicMs`; `undefined` before it has. */
  heardMs(): number | undefined
}

/** Calls a worker over mutual TLS. Refusals come as the worker's `StatusError`, all else as `WorkerUnreachable`. */
export function connectNode(options: ConnectOptions): NodeClient {
  return new Client(options)
}

class Client implements NodeClient {
  readonly #transport: Transport

  constructor(options: ConnectOptions) {
    this.#transport = new Transport(options)
  }

  reload(tls: RpcTls): void {
    this.#transport.reload(tls)
  }

  heardMs(): number | undefined {
    return this.#transport.heardMs()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }

  info(signal?: AbortSignal): Promise<NodeInfo> {
    return this.#transport.call('/info', { signal, isRepeatable: true }, checkInfo)
  }

  metrics(signal?: AbortSignal): Promise<Reading[]> {
    return this.#transport.call('/metrics', { signal, isRepeatable: true }, checkReadings)
  }

  sync(body: SyncRequest, signal?: AbortSignal): Promise<GuestReport> {
    const path = pathOf(body.vmi.metadata)
    return this.#transport.call(
      path,
      { method: 'PUT', body, signal, isRepeatable: true, isFenced: true },
      checkReport,
    )
  }

  async remove(guest: GuestRef, { graceSeconds }: RemoveOptions, signal?: AbortSignal): Promise<void> {
    const query = { ...namesOf(guest), graceSeconds: String(graceSeconds) }
    const options: CallOptions = { method: 'DELETE', query, signal, isRepeatable: true, isFenced: true }
    await this.#transport.call(pathOf(guest), options, ignore)
  }

  report(guest: GuestRef, signal?: AbortSignal): Promise<GuestReport> {
    const options: CallOptions = { query: namesOf(guest), signal, isRepeatable: true }
    return this.#transport.call(pathOf(guest), options, checkReport)
  }

  async *watch(signal: AbortSignal): AsyncGenerator<NodeUpdate, void, void> {
    for await (const update of this.#transport.lines('/watch', signal, checkUpdate)) {
      // A newer worker may tell of more than is known here.
      if (update) yield update
    }
  }

  async pause(guest: GuestRef, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'pause', { signal, isRepeatable: true })
  }

  async unpause(guest: GuestRef, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'unpause', { signal, isRepeatable: true })
  }

  async softreboot(guest: GuestRef, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'softreboot', { signal })
  }

  async reset(guest: GuestRef, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'reset', { signal })
  }

  async freeze(guest: GuestRef, body: FreezeOptions, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'freeze', { body, signal, isRepeatable: true, timeoutMs: AGENT_TIMEOUT_MS })
  }

  async unfreeze(guest: GuestRef, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'unfreeze', { signal, isRepeatable: true, timeoutMs: AGENT_TIMEOUT_MS })
  }

  agentInfo(guest: GuestRef, signal?: AbortSignal): Promise<AgentInfo> {
    return this.#read(guest, 'agent', signal, checkAgentInfo)
  }

  screenshot(guest: GuestRef, body: ScreenshotOptions, signal?: AbortSignal): Promise<Buffer> {
    const options: CallOptions = { method: 'POST', body, query: namesOf(guest), signal, isRepeatable: true }
    return this.#transport.call(`${pathOf(guest)}/screenshot`, options, checkPng)
  }

  sevPlatform(guest: GuestRef, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.#read(guest, 'sev/platform', signal, checkRecord)
  }

  sevMeasurement(guest: GuestRef, signal?: AbortSignal): Promise<Record<string, unknown>> {
    return this.#read(guest, 'sev/measurement', signal, checkRecord)
  }

  async sevInjectSecret(guest: GuestRef, body: SevSecret, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'sev/secret', { body, signal })
  }

  async backup(guest: GuestRef, body: BackupOptions, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'backup', { body, signal, isRepeatable: true, timeoutMs: AGENT_TIMEOUT_MS })
  }

  async redefineCheckpoint(guest: GuestRef, body: BackupCheckpoint, signal?: AbortSignal): Promise<void> {
    await this.#act(guest, 'checkpoint', { body, signal, isRepeatable: true })
  }

  console(guest: GuestRef, options: ConsoleOptions, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial(guest, 'console', options, signal)
  }

  consoleLog(guest: GuestRef, options: ConsoleLogOptions, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial(guest, 'console/log', options, signal)
  }

  vnc(guest: GuestRef, options: VncOptions, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial(guest, 'vnc', options, signal)
  }

  usbredir(guest: GuestRef, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial(guest, 'usbredir', {}, signal)
  }

  vsock(guest: GuestRef, options: VsockOptions, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial(guest, 'vsock', options, signal)
  }

  guestExec(guest: GuestRef, options: ExecOptions, signal?: AbortSignal): Promise<Duplex> {
    return this.#dial(guest, 'exec', options, signal)
  }

  portForward(guest: GuestRef, options: PortForwardOptions, signal?: AbortSignal): Promise<Duplex> {
    const path = `${pathOf(guest)}/portforward`
    const query = { ...namesOf(guest), options: formatExact(options) }
    return this.#transport.dial(path, query, { signal, halfClose: true, timeoutMs: FORWARD_TIMEOUT_MS })
  }

  migrationFacts(body: MigrationRef, signal?: AbortSignal): Promise<MigrationFacts> {
    return this.#migrate('facts', { body, signal, isRepeatable: true }, checkFacts)
  }

  prepareIncoming(body: IncomingRequest, signal?: AbortSignal): Promise<IncomingReply> {
    const options = { body, signal, isRepeatable: true, timeoutMs: PREPARE_TIMEOUT_MS }
    return this.#migrate('incoming', options, checkReply)
  }

  async startOutgoing(body: OutgoingRequest, signal?: AbortSignal): Promise<void> {
    await this.#migrate('outgoing', { body, signal }, ignore)
  }

  async cancelMigration(body: MigrationRef, signal?: AbortSignal): Promise<void> {
    await this.#migrate('cancel', { body, signal, isRepeatable: true }, ignore)
  }

  async releaseMigration(ref: MigrationRef, epoch: number, signal?: AbortSignal): Promise<void> {
    await this.#migrate('release', { body: { ...ref, epoch }, signal, isRepeatable: true }, ignore)
  }

  async reclaimMigration(ref: MigrationRef, epoch: number, signal?: AbortSignal): Promise<void> {
    await this.#migrate('reclaim', { body: { ...ref, epoch }, signal, isRepeatable: true }, ignore)
  }

  #migrate<T>(step: string, options: CallOptions, check: (answer: unknown) => T): Promise<T> {
    const isFenced = step !== 'facts'
    return this.#transport.call(`/migrations/${step}`, { method: 'POST', isFenced, ...options }, check)
  }

  #read<T>(
    guest: GuestRef,
    what: string,
    signal: AbortSignal | undefined,
    check: (answer: unknown) => T,
  ): Promise<T> {
    const options: CallOptions = { query: namesOf(guest), signal, isRepeatable: true }
    return this.#transport.call(`${pathOf(guest)}/${what}`, options, check)
  }

  #dial(guest: GuestRef, what: string, options: object, signal?: AbortSignal): Promise<Duplex> {
    const query = { ...namesOf(guest), options: formatExact(options) }
    return this.#transport.dial(`${pathOf(guest)}/${what}`, query, { signal })
  }

  async #act(guest: GuestRef, action: string, options: CallOptions): Promise<void> {
    const call: CallOptions = { method: 'POST', query: namesOf(guest), ...options }
    await this.#transport.call(`${pathOf(guest)}/${action}`, call, ignore)
  }
}

function ignore(): void {
  // A success says all there is to say.
}

function pathOf({ uid }: { uid: string }): string {
  return `/vmis/${encodeURIComponent(uid)}`
}

function namesOf({ namespace, name }: GuestRef): Record<string, string> {
  return { namespace, name }
}
