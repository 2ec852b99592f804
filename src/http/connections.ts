import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../lib/clock.ts'

/** How long answers that are under way may take when the server closes. */
const CLOSING_MS = 2_000

/**
 * Makes closing end: connections on which nothing is asked are cut at once, all others after a moment. Left to Node,
 * a client that has connected and says nothing would keep the server from closing for as long as it likes.
 */
export function cutConnectionsAtClose(app: FastifyInstance, clock: Clock): void {
  const raw = new Set<Socket>()
  const secure = new Set<TLSSocket>()
  const busy = new Set<object>()
  keep(raw, (note) => app.server.on('connection', note))
  keep(secure, (note) => app.server.on('secureConnection', note))
  let isClosing = false
  app.server.on('secureConnection', (socket) => {
    // Its handshake was under way when the others were cut.
    if (isClosing) socket.destroy()
  })
  app.addHook('onRequest', async (request) => {
    const { socket } = request.raw
    busy.add(socket)
    // Not when the request is answered, but when the answer has gone out or cannot any more.
    socket.once('close', () => busy.delete(socket))
  })
  app.addHook('onResponse', async (request) => void busy.delete(request.raw.socket))
  app.addHook('preClose', async () => {
    isClosing = true
    for (const socket of secure) {
      // HTTP/2 has its own way of saying goodbye.
      if (socket.alpnProtocol !== 'h2' && !busy.has(socket)) socket.destroy()
    }
    const timer = clock.after(CLOSING_MS, () => {
      for (const socket of raw) socket.destroy()
    })
    app.server.once('close', () => timer[Symbol.dispose]())
  })
}

function keep<S extends Socket>(sockets: Set<S>, listen: (note: (socket: S) => void) => unknown): void {
  listen((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
}
