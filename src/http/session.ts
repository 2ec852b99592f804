import { on, once } from 'node:events'
import { Writable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { WebSocket } from 'ws'
import type { Clock } from '../lib/clock.ts'
import { StreamEnded, type StreamEndReason } from '../lib/stream-end.ts'
import { watchLiveness, type Liveness } from './liveness.ts'

/** How a session ended: a WebSocket close code and its text (at most 123 bytes). */
export interface SessionEnd {
  code: number
  reason: string
}

/** What a session came to. */
export interface SessionResult extends SessionEnd {
  bytesToClient: number
  bytesToGuest: number
}

/** A running session. */
export interface Session {
  /** Ends it, telling the client why. */
  end(end: SessionEnd): void
  /** Settles once both sides are closed; never rejects. */
  result: Promise<SessionResult>
}

/** Bytes that may wait for a slow reader, each way; the kernel's buffers come on top. */
const BUFFER_BYTES = 256 * 1024

const CLIENT_GONE: SessionEnd = { code: 1006, reason: 'the client went away' }
const GUEST_ENDED: SessionEnd = { code: 1000, reason: 'the guest closed the stream' }
const BACKEND_BROKE: SessionEnd = { code: 1011, reason: 'the connection to the guest broke' }
/** What drains say. */
export const GOING_AWAY: SessionEnd = { code: 1001, reason: 'the server is going away; connect again' }
/** What a session is told that was ended on purpose. */
const ENDED: Record<StreamEndReason, SessionEnd> = {
  displaced: { code: 4001, reason: 'another session took over' },
  behind: { code: 4002, reason: 'you did not keep up with what the guest sent' },
  draining: GOING_AWAY,
}

/**
 * Joins a client's WebSocket with a guest's byte stream: binary messages are bytes, text messages are dropped, and
 * when either side ends both are closed. A slow reader slows the writer down. Source: contract 4.4, security C4.
 */
export function joinSession(socket: WebSocket, guest: Duplex, clock: Clock): Session {
  const asked = Promise.withResolvers<SessionEnd>()
  return {
    end: asked.resolve,
    result: run(socket, guest, clock, asked),
  }
}

async function run(
  socket: WebSocket,
  guest: Duplex,
  clock: Clock,
  asked: PromiseWithResolvers<SessionEnd>,
): Promise<SessionResult> {
  const count = { bytesToClient: 0, bytesToGuest: 0 }
  const stopped = new AbortController()
  const closed = once(socket, 'close').catch(() => [])
  using liveness = watchLiveness(socket, clock, () => asked.resolve(CLIENT_GONE))
  const toClient = copyToClient(guest, socket, liveness, count)
  const toGuest = copyToGuest(socket, guest, liveness, count, stopped.signal)
  // A guest that broke says why in the direction to the client, once all it has sent is through.
  const end = await Promise.race([asked.promise, toClient, toGuest.then((gone) => gone ?? toClient)])
  stopped.abort()
  guest.destroy()
  await close(socket, end, closed)
  await Promise.all([toClient, toGuest])
  return { ...end, ...count }
}

/** Settles with how the guest's direction ended; never rejects. */
async function copyToClient(
  guest: Duplex,
  socket: WebSocket,
  liveness: Liveness,
  count: { bytesToClient: number },
): Promise<SessionEnd> {
  const client = new Writable({
    highWaterMark: BUFFER_BYTES,
    write(chunk: Buffer, _encoding, done) {
      socket.send(chunk, { binary: true }, (error) => {
        if (!error) {
          count.bytesToClient += chunk.length
          liveness.heard()
        }
        done(error)
      })
    },
  })
  try {
    await pipeline(guest, client)
    return GUEST_ENDED
  } catch (error) {
    if (error instanceof StreamEnded) return ENDED[error.reason]
    return socket.readyState === WebSocket.OPEN ? BACKEND_BROKE : CLIENT_GONE
  }
}

/** Settles once the client has gone, or with `undefined` where it is the guest that takes no more; never rejects. */
async function copyToGuest(
  socket: WebSocket,
  guest: Duplex,
  liveness: Liveness,
  count: { bytesToGuest: number },
  signal: AbortSignal,
): Promise<SessionEnd | undefined> {
  // Listens from now on: a client may send together with its handshake.
  const messages = on(socket, 'message', { close: ['close'], highWaterMark: 1, signal })
  async function* bytes(): AsyncGenerator<Buffer> {
    for await (const [data, isBinary] of messages) {
      liveness.heard()
      if (!isBinary || !Buffer.isBuffer(data)) continue
      count.bytesToGuest += data.length
      yield data
    }
  }
  try {
    await pipeline(bytes, guest, { end: false })
    return CLIENT_GONE
  } catch {
    // Why the guest broke is told by the other direction; a client that broke has gone.
    return socket.readyState === WebSocket.OPEN ? undefined : CLIENT_GONE
  }
}

async function close(
  socket: WebSocket,
  { code, reason }: SessionEnd,
  closed: Promise<unknown>,
): Promise<void> {
  // Paused by back-pressure, it would never see the client's answer.
  socket.resume()
  if (code !== CLIENT_GONE.code) socket.close(code, reason)
  // Where the closing handshake is under way, `ws` ends it; a client that is silent gets none.
  else if (socket.readyState === WebSocket.OPEN) socket.terminate()
  await closed
}
