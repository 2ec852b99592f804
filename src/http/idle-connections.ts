/**
 * Connections of HTTP/1.1 on which nothing is asked. Clients such as kube-apiserver keep some at hand, and open more than
 * they turn out to need: one that is closed while a request is on its way fails that request.
 */
import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How long such a connection stays open. Source: security.md, H2. */
export const KEEP_ALIVE_MS = 60_000

/**
 * Keeps a connection on which nothing has been asked yet for as long as one on which something was; answers whether it is
 * one. Node takes it for a request that is late.
 */
export function keepUnused(socket: Socket, keepAliveMs: number): boolean {
  if (socket.bytesRead > 0) return false
  socket.setTimeout(keepAliveMs)
  return true
}

/** Closes connections whose time is up, but for those on which something is asked in this very moment. */
export function closeIdleConnections({ server }: FastifyInstance): void {
  server.on('timeout', (socket: unknown) => {
    if (!(socket instanceof Socket)) return
    const { bytesRead } = socket
    // A busy process is late: what has come meanwhile is read before this, and takes the connection's time limit off.
    setImmediate(() => {
      if (socket.bytesRead === bytesRead) socket.destroy()
    })
  })
}
