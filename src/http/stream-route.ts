import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { userOf } from '../auth/route.ts'
import { StatusError } from '../lib/errors.ts'
import type { Framing, Stream } from '../subresources/subresource.ts'
import { callOf, signalOf, targetOf, type RouteHead, type RouteParts } from './call.ts'
import { framerOf } from './framing/framer.ts'
import type { Seat } from './seats.ts'
import { allowProtocols, refuseHandshake, UPGRADE_HEADERS } from './upgrade.ts'

/** What was dialled for a request, from the check before the upgrade to the session after it. */
interface Dialled {
  guest: Duplex
  framing: Framing
  seat: Seat
  /** From here on the session closes the guest's side. */
  handOver(): void
}

/**
 * Registers a byte stream. In this order: the handshake is checked, the guest is dialled, the client is upgraded; so
 * that whatever goes wrong is a plain HTTP answer, and a plain GET disturbs nobody (contract 4.3, F10).
 */
export function addStreamRoute(
  scope: FastifyInstance,
  route: RouteHead,
  stream: Stream,
  deps: RouteParts,
): void {
  const dialled = new WeakMap<FastifyRequest, Dialled>()
  scope.route({
    ...route,
    method: 'GET',
    exposeHeadRoute: false,
    websocket: true,
    preHandler: async (request, reply) => {
      checkHandshake(request, reply, deps)
      dialled.set(request, await dial(request, reply, stream, deps))
    },
    handler: async (socket, request) => {
      const session = dialled.get(request)
      // Nothing comes here but through the hook above.
      if (!session) throw new Error('a stream was upgraded before its guest was dialled')
      using _seat = session.seat
      session.handOver()
      using _counted = deps.sessionCounter?.open(stream.name, targetOf(request))
      deps.auditor.noteOpened(request)
      const result = await deps.sessions.run({
        kind: stream.name,
        socket,
        guest: session.guest,
        framer: framerOf(session.framing, socket.protocol),
        halfClose: stream.halfClose ?? false,
        review: (signal) => deps.review(request, signal),
      })
      deps.auditor.noteClosed(request, result)
    },
  })
}

function checkHandshake(request: FastifyRequest, reply: FastifyReply, deps: RouteParts): void {
  const refusal = refuseHandshake(request.headers)
  if (refusal) {
    reply.headers(UPGRADE_HEADERS)
    if (refusal.code === 426) reply.header('upgrade', 'websocket')
    throw refusal
  }
  if (!deps.isOriginAllowed(request)) {
    throw new StatusError(
      403,
      'Forbidden',
      `pages of ${request.headers.origin?.slice(0, 100)} may not open streams here; add it to the allowed origins`,
    )
  }
}

async function dial(
  request: FastifyRequest,
  reply: FastifyReply,
  stream: Stream,
  deps: RouteParts,
): Promise<Dialled> {
  const seat = deps.sessions.takeSeat({
    user: userOf(request).name,
    ...targetOf(request),
    kind: stream.name,
  })
  try {
    const call = callOf(request, deps, signalOf(reply.raw))
    const framing = stream.framing?.(call) ?? 'bytes'
    allowProtocols(request.raw, framing)
    const since = performance.now()
    const guest = await stream.open(call)
    deps.watch?.dialled(stream.name, performance.now() - since)
    return { guest, framing, seat, handOver: closeTogether(request, guest, seat) }
  } catch (error) {
    seat[Symbol.dispose]()
    throw error
  }
}

/**
 * A client that goes away between dialling and upgrade leaves nobody who would close the guest's side. Until the answer
 * is called, that ends with the connection.
 */
function closeTogether({ raw }: FastifyRequest, guest: Duplex, seat: Seat): () => void {
  const end = (): void => {
    guest.destroy()
    seat[Symbol.dispose]()
  }
  // Errors are told to whoever reads the stream; before that there is nobody to tell.
  guest.on('error', () => {})
  if (raw.socket.destroyed) end()
  raw.socket.once('close', end)
  return () => raw.socket.off('close', end)
}
