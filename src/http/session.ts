import { on, once } from 'node:events'
import { Writable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { WebSocket } from 'ws'
import { wait, type Clock } from '../lib/clock.ts'
import { gatheringSink, type TakePiece } from '../lib/gathering-sink.ts'
import { StreamEnded, type StreamEndReason } from '../lib/stream-end.ts'
import type { StreamBytes } from '../metrics/server.ts'
import type { ExecOutcome } from './framing/channels.ts'
import { MessageRefused, type Framer } from './framing/framer.ts'
import { watchLiveness, type Liveness } from './liveness.ts'

/** How a session ended: a WebSocket close code and its text (at most 123 bytes), and one word for who counts. */
export interface SessionEnd {
  code: number
  reason: string
  why:
    | 'client_closed'
    | 'client_gone'
    | 'message_refused'
    | 'guest_closed'
    | 'guest_broke'
    | 'right_lost'
    | StreamEndReason
}

/** What a session came to. */
export interface SessionResult extends SessionEnd, StreamBytes, ExecOutcome {}

/** A running session. */
export interface Session {
  /** Ends it, telling the client why. */
  end(end: SessionEnd): void
  /** What it has carried so far. */
  bytes: Readonly<StreamBytes>
  /** Settles once both sides are closed; never rejects. */
  result: Promise<SessionResult>
}

/** What a session joins. */
export interface SessionParts {
  socket: WebSocket
  guest: Duplex
  framer: Framer
  /** A guest that has sent all it had may still be sent to. */
  halfClose: boolean
  clock: Clock
}

/** Bytes that may wait for a slow reader, each way; the kernel's buffers come on top. */
const BUFFER_BYTES = 256 * 1024
/** Messages that may wait where each has to stay one. */
const BUFFER_MESSAGES = 4
/** How long the guest gets to take what its client sent last. */
const FLUSH_MS = 5_000
/**
 * How long a client whose guest has sent all it had may be silent until it counts as done: it cannot say so itself, and
 * waits for the end.
 */
const QUIET_MS = 500

const CLIENT_GONE: SessionEnd = { code: 1006, reason: 'the client went away', why: 'client_gone' }
const CLIENT_DONE: SessionEnd = { code: 1000, reason: 'the client closed the stream', why: 'client_closed' }
const GUEST_ENDED: SessionEnd = { code: 1000, reason: 'the guest closed the stream', why: 'guest_closed' }
const BACKEND_BROKE: SessionEnd = {
  code: 1011,
  reason: 'the connection to the guest broke',
  why: 'guest_broke',
}
/** What drains say. */
export const GOING_AWAY: SessionEnd = {
  code: 1001,
  reason: 'the server is going away; connect again',
  why: 'draining',
}
/** What a session is told that was ended on purpose. */
const ENDED: Record<StreamEndReason, SessionEnd> = {
  displaced: { code: 4001, reason: 'another session took over', why: 'displaced' },
  behind: { code: 4002, reason: 'you did not keep up with what the guest sent', why: 'behind' },
  draining: GOING_AWAY,
}

/**
 * Joins a client's WebSocket with a guest's byte stream: binary messages become bytes as `framer` says, text messages
 * are dropped, and when either side ends both are closed, once all that was sent is through. A slow reader slows the
 * writer down. Source: contract 4.4, 4.7, security C4.
 */
export function joinSession(parts: SessionParts): Session {
  const asked = Promise.withResolvers<SessionEnd>()
  const bytes: StreamBytes = { bytesToClient: 0, bytesToGuest: 0 }
  return { end: asked.resolve, bytes, result: run(parts, asked, bytes) }
}

interface Traffic {
  bytes: StreamBytes
  /** When the client last sent something. */
  heardAt: number
  liveness: Liveness
}

async function run(
  parts: SessionParts,
  asked: PromiseWithResolvers<SessionEnd>,
  bytes: StreamBytes,
): Promise<SessionResult> {
  const { socket, guest, clock } = parts
  const stopped = new AbortController()
  const closed = once(socket, 'close').catch(() => [])
  using liveness = watchLiveness(socket, clock, () => asked.resolve(CLIENT_GONE))
  const traffic: Traffic = { bytes, heardAt: clock.now(), liveness }
  const toGuest = copyToGuest(parts, traffic, stopped.signal)
  const toClient = copyToClient(parts, traffic)
  const guestSide = toClient.then((end) => lingerFor(end, parts, traffic, stopped.signal))
  void closed.then((args) => endAfterClose(args[0], clock, stopped.signal)).then(asked.resolve)
  // A guest that broke says why in the direction to the client, once all it has sent is through.
  const end = await Promise.race([asked.promise, guestSide, toGuest.then((gone) => gone ?? guestSide)])
  // A guest that ended as a whole takes nothing any more.
  if (end === CLIENT_DONE || (end === GUEST_ENDED && parts.halfClose)) {
    await endGently(parts, end, toGuest, closed)
  }
  stopped.abort()
  guest.destroy()
  await close(socket, end, closed)
  await Promise.all([guestSide, toGuest])
  return { ...end, ...bytes, ...parts.framer.outcome?.() }
}

/** How it ends where the guest does not take what a client that has closed sent last. */
async function endAfterClose(code: unknown, clock: Clock, signal: AbortSignal): Promise<SessionEnd> {
  if (!isClean(code)) return CLIENT_GONE
  await wait(clock, FLUSH_MS, signal)
  return CLIENT_DONE
}

/** 1005 is a Close without a code. */
function isClean(code: unknown): boolean {
  return code === 1000 || code === 1005
}

/** Settles with how the guest's direction ended; never rejects. */
async function copyToClient({ guest, socket, framer }: SessionParts, traffic: Traffic): Promise<SessionEnd> {
  const send: TakePiece = (bytes, done) => {
    socket.send(bytes, { binary: true }, (error) => {
      if (!error) {
        traffic.bytes.bytesToClient += bytes.length
        traffic.liveness.heard()
      }
      done(error)
    })
  }
  const client = framer.hasBoundaries ? messageSink(send) : gatheringSink(BUFFER_BYTES, send)
  try {
    const stages = framer.open ? [guest, framer.open(), client] : [guest, client]
    await pipeline(stages)
    return GUEST_ENDED
  } catch (error) {
    if (error instanceof StreamEnded) return ENDED[error.reason]
    return socket.readyState === WebSocket.OPEN ? BACKEND_BROKE : CLIENT_GONE
  }
}

function messageSink(send: TakePiece): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: BUFFER_MESSAGES,
    write: (message: Buffer, _encoding, done) => send(message, done),
  })
}

/** Settles once the client has gone, or with `undefined` where it is the guest that takes no more; never rejects. */
async function copyToGuest(
  { socket, guest, framer, clock }: SessionParts,
  traffic: Traffic,
  signal: AbortSignal,
): Promise<SessionEnd | undefined> {
  let end = CLIENT_GONE
  socket.once('close', (code: number) => {
    if (isClean(code)) end = CLIENT_DONE
  })
  // Listens from now on: a client may send together with its handshake.
  const messages = on(socket, 'message', { close: ['close'], highWaterMark: 1, signal })
  async function* bytes(): AsyncGenerator<Buffer> {
    for await (const [data, isBinary] of messages) {
      traffic.liveness.heard()
      traffic.heardAt = clock.now()
      if (!isBinary || !Buffer.isBuffer(data)) continue
      const content = framer.toGuest(data)
      if (content === undefined) continue
      traffic.bytes.bytesToGuest += data.length
      yield content
    }
  }
  try {
    await pipeline(bytes, guest, { end: false })
    return end
  } catch (error) {
    if (error instanceof MessageRefused) return { code: 1009, reason: error.message, why: 'message_refused' }
    // Why the guest broke is told by the other direction; a client that broke has gone.
    return socket.readyState === WebSocket.OPEN ? undefined : end
  }
}

/** A guest that has sent all it had is still sent to for as long as there is something to send, where it takes more. */
async function lingerFor(
  end: SessionEnd,
  { guest, clock, halfClose }: SessionParts,
  traffic: Traffic,
  signal: AbortSignal,
): Promise<SessionEnd> {
  if (end !== GUEST_ENDED || !halfClose) return end
  const gone = new AbortController()
  const stop = (): void => gone.abort()
  guest.once('close', stop)
  const until = AbortSignal.any([signal, gone.signal])
  while (!until.aborted && !guest.destroyed) {
    const quietMs = guest.writableLength > 0 ? 0 : clock.now() - traffic.heardAt
    if (quietMs >= QUIET_MS) break
    await wait(clock, QUIET_MS - quietMs, until)
  }
  guest.off('close', stop)
  return end
}

/** Lets through what is still on its way: to the guest what the client sent before its Close or before it saw ours. */
async function endGently(
  { socket, guest, clock }: SessionParts,
  end: SessionEnd,
  toGuest: Promise<unknown>,
  closed: Promise<unknown>,
): Promise<void> {
  if (guest.destroyed) return
  const late = new AbortController()
  const enough = wait(clock, FLUSH_MS, late.signal)
  if (socket.readyState === WebSocket.OPEN) socket.close(end.code, end.reason)
  await Promise.race([enough, Promise.all([closed, toGuest])])
  if (!guest.destroyed && !guest.writableFinished) {
    const flushed = Promise.withResolvers<void>()
    const done = (): void => flushed.resolve()
    guest.once('close', done)
    guest.end(done)
    await Promise.race([enough, flushed.promise])
    guest.off('close', done)
  }
  late.abort()
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
