import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { systemClock, type Clock } from '../lib/clock.ts'
import { STRICT_SERVER_TLS } from '../lib/strict-tls.ts'
import { DRAIN_MS, Handler, type HandlerOptions } from './handler.ts'
import { STREAM_BUFFER_BYTES, type RpcTls } from './wire.ts'

/** What a worker's server is put together from. */
export interface RpcServerOptions extends Omit<HandlerOptions, 'clock'> {
  tls: RpcTls
  clock?: Clock
}

const KEEP_ALIVE_MS = 15_000

/** The server of a worker. Disposing of it ends watches and streams, telling their users why, and closes it. */
export interface RpcServer extends AsyncDisposable {
  /** For what is not said here, such as its connections. */
  server: Server
  /** Answers the port once it listens. */
  listen(port: number, host: string): Promise<number>
  /** Serves another certificate from the next handshake on; open connections live on. */
  reload(tls: RpcTls): void
}

/** The server of a worker, not listening yet. */
export function buildRpcServer(options: RpcServerOptions): RpcServer {
  const { clock = systemClock } = options
  const handler = new Handler({ ...options, clock })
  const server = createServer({
    ...contextOptions(options.tls),
    requestCert: true,
    rejectUnauthorized: true,
    highWaterMark: STREAM_BUFFER_BYTES,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 60_000,
  })
  server.on('request', (request, response) => void handler.answer(request, response))
  server.on('upgrade', (request, socket, head) => void handler.upgrade(request, socket, head))
  server.on('secureConnection', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS))
  return {
    server,
    async listen(port, host) {
      server.listen(port, host)
      await once(server, 'listening')
      // It listens on a port, not on a socket in the file system.
      return (server.address() as AddressInfo).port
    },
    reload: (tls) => server.setSecureContext(contextOptions(tls)),
    async [Symbol.asyncDispose]() {
      await handler.drain()
      if (!server.listening) return
      const closed = once(server, 'close')
      using _late = clock.after(DRAIN_MS, () => server.closeAllConnections())
      server.close()
      server.closeIdleConnections()
      await closed
    },
  }
}

function contextOptions({ cert, key, ca }: RpcTls) {
  return { cert, key, ca, ...STRICT_SERVER_TLS }
}
