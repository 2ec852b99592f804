import { Agent, request } from 'undici'
import type { Log } from '../lib/log.ts'
import { StatusError } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import type { Actions, GuestRef, NodeUpdate } from './actions.ts'
import { checkInfo, checkReport, checkUpdate } from './check.ts'
import { expectServer } from './identity.ts'
import { readLines } from './lines.ts'
import { dialRaw, remoteStream } from './remote-stream.ts'
import { WorkerUnreachable } from './unreachable.ts'
import {
  BODY_LIMIT_BYTES,
  fromWireError,
  HEARTBEAT_MS,
  LINE_LIMIT_BYTES,
  RPC_VERSIONS,
  VERSION_HEADER,
  type RpcTls,
  type StreamVerdict,
} from './wire.ts'

/** Which worker to call, and as whom. */
export interface ConnectOptions {
  address: string
  port: number
  tls: RpcTls
  /** URI in the worker's certificate, such as `spiffe://virtgate/worker/node01`. */
  serverUri: string
  log: Log
  /** Ends everything that goes on. */
  signal?: AbortSignal
}

/** A worker at the other end of the wire. Connections are made as they are needed. */
export interface NodeClient extends Actions, AsyncDisposable {
  /** Uses another certificate for new connections. */
  reload(tls: RpcTls): void
}

const CALL_TIMEOUT_MS = 10_000
/** Three heartbeats missed. */
const SILENCE_MS = 3 * HEARTBEAT_MS
const VERDICT_TIMEOUT_MS = 2_000

/** Calls a worker over mutual TLS. Refusals come as the worker's `StatusError`, all else as `WorkerUnreachable`. */
export function connectNode(options: ConnectOptions): NodeClient {
  return new Client(options)
}

interface CallOptions {
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE'
  query?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
  timeoutMs?: number
  /** Whether asking twice does no harm: then a connection that breaks is tried once more. */
  isRepeatable?: boolean
}

class Client implements NodeClient {
  readonly #options: ConnectOptions
  readonly #closing = new AbortController()
  #tls: RpcTls
  #agent: Agent

  constructor(options: ConnectOptions) {
    this.#options = options
    this.#tls = options.tls
    this.#agent = this.#buildAgent()
  }

  reload(tls: RpcTls): void {
    const before = this.#agent
    this.#tls = tls
    this.#agent = this.#buildAgent()
    // What goes on there ends by itself.
    before
      .close()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'connections did not close'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the client was closed'))
    await this.#agent.destroy()
  }

  async info(signal?: AbortSignal) {
    return checkInfo(await this.#call('/info', { signal, isRepeatable: true }))
  }

  async sync(body: Parameters<Actions['sync']>[0], signal?: AbortSignal) {
    const path = pathOf(body.vmi.metadata)
    return checkReport(await this.#call(path, { method: 'PUT', body, signal, isRepeatable: true }))
  }

  async remove(
    guest: GuestRef,
    { graceSeconds }: { graceSeconds: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const query = { ...namesOf(guest), graceSeconds: String(graceSeconds) }
    await this.#call(pathOf(guest), { method: 'DELETE', query, signal, isRepeatable: true })
  }

  async report(guest: GuestRef, signal?: AbortSignal) {
    return checkReport(await this.#call(pathOf(guest), { query: namesOf(guest), signal, isRepeatable: true }))
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

  console(guest: GuestRef, signal?: AbortSignal) {
    return this.#dial(`${pathOf(guest)}/console`, namesOf(guest), signal)
  }

  vnc(guest: GuestRef, { preserveSession }: { preserveSession: boolean }, signal?: AbortSignal) {
    const query = { ...namesOf(guest), preserveSession: String(preserveSession) }
    return this.#dial(`${pathOf(guest)}/vnc`, query, signal)
  }

  async *watch(signal: AbortSignal): AsyncGenerator<NodeUpdate, void, void> {
    const over = AbortSignal.any([signal, this.#closing.signal])
    try {
      const response = await this.#send('/watch', { signal: over })
      for await (const line of readLines(response.body, LINE_LIMIT_BYTES)) {
        const update = checkUpdate(JSON.parse(line))
        if (update) yield update
      }
    } catch (error) {
      if (over.aborted) return
      throw this.#failureOf(error, 'watch')
    }
  }

  async #act(guest: GuestRef, action: string, options: CallOptions): Promise<void> {
    await this.#call(`${pathOf(guest)}/${action}`, { method: 'POST', query: namesOf(guest), ...options })
  }

  /** One call with its answer, tried a second time where that does no harm and the connection broke. */
  async #call(path: string, options: CallOptions): Promise<unknown> {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? CALL_TIMEOUT_MS)
    const signals = [timeout, this.#closing.signal, ...(options.signal ? [options.signal] : [])]
    const signal = AbortSignal.any(signals)
    try {
      return await this.#ask(path, { ...options, signal })
    } catch (error) {
      if (signal.aborted || !options.isRepeatable || !isBroken(error))
        throw this.#failure(error, path, options)
    }
    try {
      return await this.#ask(path, { ...options, signal })
    } catch (error) {
      throw this.#failure(error, path, options)
    }
  }

  async #ask(path: string, options: CallOptions): Promise<unknown> {
    const { body } = await this.#send(path, options)
    return JSON.parse(await readAll(body))
  }

  /** Sends a request and answers once the head of a success is there. Throws the worker's refusal. */
  async #send(path: string, { method = 'GET', query = {}, body, signal }: CallOptions) {
    const { address, port } = this.#options
    const host = address.includes(':') ? `[${address}]` : address
    const response = await request(`https://${host}:${port}/w/v1${path}`, {
      dispatcher: this.#agent,
      method,
      query,
      signal: signal ?? null,
      headers: {
        [VERSION_HEADER]: RPC_VERSIONS[0],
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const { statusCode } = response
    if (statusCode === 200) return response
    const text = await readAll(response.body)
    throw refusalIn(text, statusCode) ?? new Error(`the worker answered ${statusCode} without a Status`)
  }

  async #dial(path: string, query: Record<string, string>, signal?: AbortSignal) {
    const { address, port } = this.#options
    const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS)
    try {
      const { socket, session } = await dialRaw({
        address,
        port,
        tls: this.#tlsOptions(),
        path: `/w/v1${path}?${new URLSearchParams(query).toString()}`,
        signal: AbortSignal.any([timeout, this.#closing.signal, ...(signal ? [signal] : [])]),
      })
      return remoteStream(
        socket,
        () => this.#askVerdict(session),
        (cause) => this.#failureOf(cause, path),
      )
    } catch (error) {
      throw this.#failure(error, path, { signal })
    }
  }

  async #askVerdict(session: string): Promise<StreamVerdict> {
    const answer = await this.#call(`/sessions/${session}`, { timeoutMs: VERDICT_TIMEOUT_MS })
    const verdict = isRecord(answer) ? answer.verdict : undefined
    const known = VERDICTS.find((word) => word === verdict)
    if (!known) throw new Error(`the worker says that the stream ended "${String(verdict)}"`)
    return known
  }

  /** What the caller gets: its own reason where it gave up, else what kept the worker from answering. */
  #failure(error: unknown, path: string, { signal }: CallOptions): unknown {
    return signal?.aborted ? signal.reason : this.#failureOf(error, path)
  }

  #failureOf(error: unknown, action: string): Error {
    if (error instanceof StatusError) return error
    return new WorkerUnreachable(this.#options.serverUri, action, error)
  }

  #tlsOptions() {
    const { cert, key, ca } = this.#tls
    const checkServerIdentity = expectServer(this.#options.serverUri)
    return { cert, key, ca, minVersion: 'TLSv1.3' as const, checkServerIdentity }
  }

  #buildAgent(): Agent {
    return new Agent({
      connect: { ...this.#tlsOptions(), timeout: CALL_TIMEOUT_MS },
      connections: 32,
      pipelining: 1,
      allowH2: false,
      headersTimeout: CALL_TIMEOUT_MS,
      bodyTimeout: SILENCE_MS,
      keepAliveTimeout: 30_000,
    })
  }
}

const VERDICTS: readonly StreamVerdict[] = ['ended', 'broken', 'displaced', 'behind', 'draining']

function pathOf({ uid }: { uid: string }): string {
  return `/vmis/${encodeURIComponent(uid)}`
}

function namesOf({ namespace, name }: GuestRef): Record<string, string> {
  return { namespace, name }
}

/** Whether the connection failed, not the call: a refusal is an answer. */
function isBroken(error: unknown): boolean {
  return !(error instanceof StatusError) && error instanceof Error && 'code' in error
}

function refusalIn(text: string, code: number): StatusError | undefined {
  try {
    return fromWireError(JSON.parse(text), code)
  } catch {
    // What is no JSON is no Status either.
    return undefined
  }
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > BODY_LIMIT_BYTES)
      throw new Error(`the worker's answer is larger than ${BODY_LIMIT_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
