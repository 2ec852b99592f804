import { formatExact } from '../lib/exact-json.ts'
import type { Duplex } from 'node:stream'
import type { Log } from '../lib/log.ts'
import { StatusError } from '../lib/errors.ts'
import { Agent, request } from '../lib/http-client.ts'
import { isRecord } from '../lib/json.ts'
import { monotonicMs, systemClock } from '../lib/clock.ts'
import { NotLeading, type Leadership } from '../lib/leadership.ts'
import { BadMessage } from '../lib/bad-message.ts'
import { STRICT_TLS } from '../lib/strict-tls.ts'
import { LEADER_HEADER, PROOF_HEADER, readProof } from './fence.ts'
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
  STREAM_VERDICTS,
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
  /** Whether we lead; where absent, we never do, and say nothing of it. */
  leadership?: Leadership
  log: Log
  /** How long a call and dialling may take, in milliseconds; 10 s by default. */
  timeoutMs?: number
  /** Ends everything that goes on. */
  signal?: AbortSignal
}

/** One call. */
export interface CallOptions {
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE'
  query?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
  timeoutMs?: number
  /** Whether asking twice does no harm: then a connection that breaks is tried once more. */
  isRepeatable?: boolean
  /** Whether it is for a leader alone. */
  isFenced?: boolean
}

/** How a stream is dialled. */
export interface DialOptions {
  signal?: AbortSignal | undefined
  timeoutMs?: number
  /** Whether a side that has sent all it had may go on receiving. */
  halfClose?: boolean
}

const CALL_TIMEOUT_MS = 10_000
const VERDICT_TIMEOUT_MS = 2_000
/** Three heartbeats missed. */
const SILENCE_MS = 3 * HEARTBEAT_MS

/** The way to one worker. Whatever keeps it from answering as one is a `WorkerUnreachable`. */
export class Transport implements AsyncDisposable {
  readonly #options: ConnectOptions
  readonly #closing = new AbortController()
  #tls: RpcTls
  /** The latest that the worker has given us to prove by. */
  #proof: string | undefined
  #heardMs: number | undefined
  #agent: Agent

  constructor(options: ConnectOptions) {
    this.#options = options
    this.#tls = options.tls
    this.#agent = this.#buildAgent()
    options.signal?.addEventListener('abort', this.#close, { once: true })
  }

  /** When the worker has given us the latest of them, by `monotonicMs`. */
  heardMs(): number | undefined {
    return this.#heardMs
  }

  /** Uses another certificate for new connections. */
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
    this.#options.signal?.removeEventListener('abort', this.#close)
    this.#close()
    await this.#agent.destroy()
  }

  readonly #close = (): void => this.#closing.abort(new Error('the connection to the worker was closed'))

  /** One call with its answer, tried a second time where that does no harm and the connection broke. */
  async call<T>(path: string, options: CallOptions, check: (answer: unknown) => T): Promise<T> {
    const signal = this.#limit(options.signal, options.timeoutMs)
    try {
      return await this.#ask(path, { ...options, signal }, check)
    } catch (error) {
      if (signal.aborted || !options.isRepeatable || !isBroken(error)) {
        throw this.#failure(error, path, options.signal)
      }
    }
    try {
      return await this.#ask(path, { ...options, signal }, check)
    } catch (error) {
      throw this.#failure(error, path, options.signal)
    }
  }

  /** The lines of an answer that goes on, until `signal` aborts or the connection ends. */
  async *lines<T>(
    path: string,
    signal: AbortSignal,
    check: (line: unknown) => T,
  ): AsyncGenerator<T, void, void> {
    const over = AbortSignal.any([signal, this.#closing.signal])
    try {
      const { body } = await this.#send(path, { signal: over })
      for await (const line of readLines(body, LINE_LIMIT_BYTES)) yield believe(line, check)
    } catch (error) {
      if (over.aborted) return
      throw this.#failure(error, path)
    }
  }

  /** A byte stream. The signal is about dialling: the stream outlives it. */
  async dial(
    path: string,
    query: Record<string, string>,
    { signal: given, timeoutMs, halfClose = false }: DialOptions = {},
  ): Promise<Duplex> {
    const { address, port } = this.#options
    const tls = this.#tlsOptions()
    const url = `/w/v1${path}?${new URLSearchParams(query).toString()}`
    try {
      const signal = this.#limit(given, timeoutMs)
      const { socket, session } = await dialRaw({ address, port, tls, path: url, signal })
      const stream = remoteStream(
        socket,
        () => this.#askVerdict(session),
        (cause) => this.#unreachable(cause, path),
        halfClose,
      )
      this.#endWith(stream)
      return stream
    } catch (error) {
      throw this.#failure(error, path, given)
    }
  }

  async #ask<T>(path: string, options: CallOptions, check: (answer: unknown) => T): Promise<T> {
    const { body } = await this.#send(path, options)
    return believe(await readAll(body), check)
  }

  /** Sends a request and answers once the head of a success is there. Throws the worker's refusal. */
  async #send(path: string, { method = 'GET', query = {}, body, signal, isFenced }: CallOptions) {
    const { address, port, leadership } = this.#options
    // Looked at for each request: the one before may have been long ago.
    // The proof before the term: it shows that we led after we had got it.
    const proof = this.#proof
    const epoch = leadership?.epoch()
    if (leadership && isFenced && epoch === undefined) throw new NotLeading(`${method} ${path}`)
    const host = address.includes(':') ? `[${address}]` : address
    const response = await request(`https://${host}:${port}/w/v1${path}`, {
      dispatcher: this.#agent,
      method,
      query,
      signal: signal ?? null,
      headers: {
        [VERSION_HEADER]: RPC_VERSIONS[0],
        ...(epoch !== undefined && { [LEADER_HEADER]: String(epoch) }),
        ...(epoch !== undefined && proof !== undefined && { [PROOF_HEADER]: proof }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: formatExact(body) }),
    })
    const { statusCode } = response
    const given = readProof(response.headers[PROOF_HEADER])
    if (given !== undefined) {
      this.#proof = given
      this.#heardMs = monotonicMs(systemClock)
    }
    if (statusCode === 200) return response
    const text = await readAll(response.body)
    throw fromWireError(text, statusCode) ?? new Error(`the worker answered ${statusCode} without a Status`)
  }

  #endWith(stream: Duplex): void {
    const { signal } = this.#closing
    const end = (): void => void stream.destroy()
    signal.addEventListener('abort', end, { once: true })
    stream.once('close', () => signal.removeEventListener('abort', end))
    if (signal.aborted) end()
  }

  async #askVerdict(session: string): Promise<StreamVerdict> {
    return this.call(`/sessions/${session}`, { timeoutMs: VERDICT_TIMEOUT_MS }, (answer) => {
      const verdict = isRecord(answer) ? answer.verdict : undefined
      const known = STREAM_VERDICTS.find((word) => word === verdict)
      if (!known) throw new Error(`the worker says that the stream ended "${String(verdict)}"`)
      return known
    })
  }

  #limit(
    given: AbortSignal | undefined,
    timeoutMs = this.#options.timeoutMs ?? CALL_TIMEOUT_MS,
  ): AbortSignal {
    const signals = [AbortSignal.timeout(timeoutMs), this.#closing.signal]
    return AbortSignal.any(given ? [...signals, given] : signals)
  }

  /** What the caller gets: its own reason where it gave up, the worker's refusal, or what kept it from answering. */
  #failure(error: unknown, action: string, given?: AbortSignal): unknown {
    if (given?.aborted) return given.reason
    return error instanceof StatusError || error instanceof NotLeading
      ? error
      : this.#unreachable(error, action)
  }

  #unreachable(cause: unknown, action: string): WorkerUnreachable {
    return new WorkerUnreachable(this.#options.serverUri, action, cause)
  }

  #tlsOptions() {
    const { cert, key, ca } = this.#tls
    const checkServerIdentity = expectServer(this.#options.serverUri)
    return { cert, key, ca, ...STRICT_TLS, checkServerIdentity }
  }

  #buildAgent(): Agent {
    return new Agent({
      connect: { ...this.#tlsOptions(), timeout: CALL_TIMEOUT_MS },
      connections: 32,
      pipelining: 1,
      allowH2: false,
      // Each call has its own limit; a connection has none.
      headersTimeout: 0,
      bodyTimeout: SILENCE_MS,
      keepAliveTimeout: 30_000,
    })
  }
}

/** What a text says, where it passes its check. One that does not is no refusal of the worker's, whatever the check throws. */
function believe<T>(text: string, check: (answer: unknown) => T): T {
  try {
    return check(JSON.parse(text))
  } catch (error) {
    throw new BadMessage('malformed', 'the worker answered something else than was asked for', {
      cause: error,
    })
  }
}

/** Whether the connection failed, not the call: a refusal is an answer. */
function isBroken(error: unknown): boolean {
  return !(error instanceof StatusError) && error instanceof Error && 'code' in error
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > BODY_LIMIT_BYTES) {
      throw new BadMessage('too_long', `the worker's answer is larger than ${BODY_LIMIT_BYTES} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
