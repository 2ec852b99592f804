import type { Socket } from 'node:net'
import { Server as TlsServer, type TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../lib/clock.ts'

/** How long answers that are under way may take when the server closes. */
const CLOSING_MS = 2_000

/**
 * Makes closing end: connections on which nothing is asked are cut at once, all others after a moment, and those that
 * have become streams once `drain` is done with them. Left to Node, a client that has connected and says nothing would keep
 * the server from closing for as long as it likes.
 */
export function cutConnectionsAtClose(
  app: FastifyInstance,
  clock: Clock,
  drain = async (): Promise<void> => {},
): void {
  const raw = new Set<Socket>()
  const secure = new Set<TLSSocket>()
  const busy = new Set<object>()
  const followed = new WeakSet<object>()
  const streams = new Set<Socket>()
  keep(raw, (note) => app.server.on('connection', note))
  keep(secure, (note) => app.server.on('secureConnection', note))
  keep(streams, (note) => app.server.on('upgrade', (_request, socket: Socket) => note(socket)))
  let isClosing = false
  app.server.on('secureConnection', (socket) => {
    // Its handshake was under way when the others were cut.
    if (isClosing) socket.destroy()
  })
  app.addHook('onRequest', async (request) => {
    const { socket } = request.raw
    busy.add(socket)
    // Over HTTP/1.1 the same connection is asked again and again.
    if (followed.has(socket)) return
    followed.add(socket)
    // Not when the request is answered, but when the answer has gone out or cannot any more.
    socket.once('close', () => busy.delete(socket))
  })
  app.addHook('onResponse', async (request) => void busy.delete(request.raw.socket))
  const cut = (sockets: Iterable<Socket>, spares: (socket: Socket) => boolean): void => {
    for (const socket of sockets) if (!streams.has(socket) && !spares(socket)) socket.destroy()
  }
  app.addHook('preClose', async () => {
    isClosing = true
    // HTTP/2 has its own way of saying goodbye.
    cut(secure, (socket) => busy.has(socket) || isHttp2(socket))
    const connections = app.server instanceof TlsServer ? secure : raw
    using _others = clock.after(CLOSING_MS, () => cut(connections, () => false))
    await drain()
    const timer = clock.after(CLOSING_MS, () => {
      for (const socket of raw) socket.destroy()
    })
    app.server.once('close', () => timer[Symbol.dispose]())
  })
}

function isHttp2(socket: Socket): boolean {
  return 'alpnProtocol' in socket && socket.alpnProtocol === 'h2'
}

function keep<S extends Socket>(sockets: Set<S>, listen: (note: (socket: S) => void) => unknown): void {
  listen((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
}
