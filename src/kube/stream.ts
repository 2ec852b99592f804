import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocket } from 'ws'
import type { StatusError } from '../lib/errors.ts'
import { ApiUnreachable, refusal } from './client.ts'
import type { ClusterConfig } from './config.ts'

/** The subprotocol of KubeVirt's byte streams. */
const PLAIN = 'plain.kubevirt.io'

/** How a stream came to its end. */
export interface StreamEnd {
  /** WebSocket close code: 1000 is a regular end. */
  code: number
  reason: string
}

/** An open byte stream to a guest. */
export interface KubeStream {
  duplex: Duplex
  ended: Promise<StreamEnd>
}

/**
 * Dials a streaming subresource, such as a console. Throws the server's `StatusError` where it refuses (400: the
 * guest does not run yet), `ApiUnreachable` where nobody answers.
 */
export async function dialStream(
  config: ClusterConfig,
  path: string,
  signal?: AbortSignal,
): Promise<KubeStream> {
  signal?.throwIfAborted()
  const token = await config.token()
  const socket = new WebSocket(config.server.replace(/^http/, 'ws') + path, PLAIN, {
    ...config.tls,
    perMessageDeflate: false,
    headers: { 'user-agent': 'virtgate', ...(token && { authorization: `Bearer ${token}` }) },
  })
  const ended = new Promise<StreamEnd>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString('utf8') }))
  })
  await opened(socket, config.server, signal)
  const duplex = createWebSocketStream(socket)
  // Left to itself it stays half open, for writes that can no longer go anywhere.
  duplex.once('end', () => duplex.destroy())
  const abort = () => duplex.destroy()
  signal?.addEventListener('abort', abort, { once: true })
  socket.once('close', () => signal?.removeEventListener('abort', abort))
  return { duplex, ended }
}

async function opened(socket: WebSocket, server: string, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = () => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  socket.once('open', resolve)
  socket.once('error', (error) => reject(new ApiUnreachable(server, error)))
  socket.once('unexpected-response', (_request, response) => {
    refusalOf(response).then(reject, reject)
  })
  try {
    await promise
  } catch (error) {
    socket.on('error', () => {})
    socket.terminate()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

async function refusalOf(response: IncomingMessage): Promise<StatusError> {
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text.length > 64 * 1024) break
  }
  return refusal(response.statusCode ?? 502, text)
}
