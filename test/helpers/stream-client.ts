import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Duplex } from 'node:stream'
import { ALICE, apiOf, BASE, type TestApi } from './api.ts'

/** How a server refused to open a stream. */
export interface StreamRefusal {
  code: number
  body: { kind?: string; code?: number; reason?: string; message?: string; details?: unknown }
}

/** An API server that listens, and a way to open streams on it as Alice. */
export interface StreamApi extends TestApi, AsyncDisposable {
  port: number
  /** Opens the stream at a path below the namespace. Throws where it is refused. */
  open(path: string): Promise<{ socket: WebSocket; duplex: Duplex }>
  /** How it is refused. Throws where it is opened. */
  refusal(path: string): Promise<StreamRefusal>
}

/** Starts the server of `apiOf`. */
export async function serveStreams(...setup: Parameters<typeof apiOf>): Promise<StreamApi> {
  const api = apiOf(...setup)
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  const address = api.app.server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  const { port } = address
  const dial = (path: string) =>
    new WebSocket(`ws://127.0.0.1:${port}${BASE}${path}`, ['plain.kubevirt.io'], {
      headers: ALICE,
      perMessageDeflate: false,
    })
  return {
    ...api,
    port,
    async open(path) {
      const socket = dial(path)
      await once(socket, 'open')
      const duplex = createWebSocketStream(socket)
      duplex.on('error', () => {})
      return { socket, duplex }
    },
    async refusal(path) {
      const socket = dial(path).on('error', () => {})
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
      socket.once('unexpected-response', (_request, response) => resolve(response))
      socket.once('open', () => {
        socket.terminate()
        reject(new Error('it was opened'))
      })
      const response = await promise
      let text = ''
      for await (const chunk of response) text += String(chunk)
      // `ws` leaves the connection to us.
      response.socket.destroy()
      return { code: response.statusCode ?? 0, body: JSON.parse(text) }
    },
    async [Symbol.asyncDispose]() {
      await api.app.close()
    },
  }
}
