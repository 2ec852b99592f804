import { request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { StreamEnded } from '../lib/stream-end.ts'
import {
  fromWireError,
  RAW_PROTOCOL,
  RPC_VERSIONS,
  SESSION_HEADER,
  STREAM_BUFFER_BYTES,
  VERSION_HEADER,
  type StreamVerdict,
} from './wire.ts'

/** Where and how to dial. */
export interface DialOptions {
  address: string
  port: number
  /** Certificate, authority and the check of the server's identity. */
  tls: ConnectionOptions
  path: string
  /** Ends the dialling; what was dialled outlives it. */
  signal: AbortSignal
}

/** An upgraded connection. */
export interface Upgraded {
  socket: Duplex
  /** Under which the worker tells how the stream ended. */
  session: string
}

const BODY_LIMIT = 64 * 1024
const KEEP_ALIVE_MS = 15_000

/** Turns a new connection into a byte stream. Throws the worker's refusal, or what kept it from answering. */
export async function dialRaw({ address, port, tls, path, signal }: DialOptions): Promise<Upgraded> {
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>()
  // Who ends one direction does not end the other: that is decided above the connection.
  const target: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...tls,
    host: address,
    port,
    allowHalfOpen: true,
  }
  const request = httpsRequest({
    path,
    createConnection: () => connectTls(target),
    headers: { connection: 'Upgrade', upgrade: RAW_PROTOCOL, [VERSION_HEADER]: RPC_VERSIONS[0] },
  })
  request.on('error', reject)
  request.on('response', (response) => void refusalOf(response).then(reject, reject))
  request.on('upgrade', (response, socket, head) => {
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    if (head.length > 0) socket.unshift(head)
    resolve({ socket, session: String(response.headers[SESSION_HEADER] ?? '') })
  })
  // The signal is about dialling: what was dialled outlives it.
  const abort = (): void => void request.destroy(asError(signal.reason))
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    request.end()
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}

async function refusalOf(response: IncomingMessage): Promise<Error> {
  const code = response.statusCode ?? 0
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text.length > BODY_LIMIT) break
  }
  return fromWireError(text, code) ?? new Error(`the worker answered ${code} without a Status`)
}

/**
 * The guest's stream at the other end of a connection. Where the connection ends, `ask` finds out why: it ends, or is
 * destroyed with `StreamEnded` or with what broke it, as it would be inside the worker. With `halfClose` a guest that has
 * sent all it had may still be written to.
 */
export function remoteStream(
  socket: Duplex,
  ask: () => Promise<StreamVerdict>,
  broken: (cause: unknown) => Error,
  halfClose = false,
): Duplex {
  const stream = new Duplex({
    highWaterMark: STREAM_BUFFER_BYTES,
    allowHalfOpen: halfClose,
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  // Once told, the stream may be destroyed before anybody listens.
  stream.on('error', () => {})
  const finish = async (cause?: unknown): Promise<void> => {
    if (stream.destroyed) return
    try {
      const verdict = await ask()
      if (verdict === 'ended') stream.push(null)
      else stream.destroy(verdict === 'broken' ? broken(cause) : new StreamEnded(verdict))
    } catch (error) {
      stream.destroy(broken(cause ?? error))
    }
  }
  let isOver = false
  const over = (cause?: unknown): void => {
    if (isOver) return
    isOver = true
    void finish(cause)
  }
  socket.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) socket.pause()
  })
  socket.on('end', () => over())
  socket.on('error', (error) => over(error))
  socket.on('close', () => over(new Error('the connection was closed')))
  return stream
}
