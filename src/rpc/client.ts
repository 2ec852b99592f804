import type { Duplex } from 'node:stream'
import type {
  Actions,
  GuestRef,
  GuestReport,
  NodeInfo,
  NodeUpdate,
  RemoveOptions,
  SyncRequest,
  VncOptions,
} from './actions.ts'
import { checkInfo, checkReport, checkUpdate } from './check.ts'
import { Transport, type CallOptions, type ConnectOptions } from './transport.ts'
import type { RpcTls } from './wire.ts'

export type { ConnectOptions } from './transport.ts'

/** A worker at the other end of the wire. Connections are made as they are needed. */
export interface NodeClient extends Actions, AsyncDisposable {
  /** Uses another certificate for new connections. */
  reload(tls: RpcTls): void
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }

  info(signal?: AbortSignal): Promise<NodeInfo> {
    return this.#transport.call('/info', { signal, isRepeatable: true }, checkInfo)
  }

  sync(body: SyncRequest, signal?: AbortSignal): Promise<GuestReport> {
    const path = pathOf(body.vmi.metadata)
    return this.#transport.call(path, { method: 'PUT', body, signal, isRepeatable: true }, checkReport)
  }

  async remove(guest: GuestRef, { graceSeconds }: RemoveOptions, signal?: AbortSignal): Promise<void> {
    const query = { ...namesOf(guest), graceSeconds: String(graceSeconds) }
    const options: CallOptions = { method: 'DELETE', query, signal, isRepeatable: true }
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

  console(guest: GuestRef, signal?: AbortSignal): Promise<Duplex> {
    return this.#transport.dial(`${pathOf(guest)}/console`, namesOf(guest), signal)
  }

  vnc(guest: GuestRef, { preserveSession }: VncOptions, signal?: AbortSignal): Promise<Duplex> {
    const query = { ...namesOf(guest), preserveSession: String(preserveSession) }
    return this.#transport.dial(`${pathOf(guest)}/vnc`, query, signal)
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
