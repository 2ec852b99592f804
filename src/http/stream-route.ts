import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { StatusError } from '../lib/errors.ts'
import type { Stream } from '../subresources/subresource.ts'
import { callOf, recordOf, signalOf, type RouteHead, type RouteParts } from './call.ts'
import { refuseHandshake, UPGRADE_HEADERS } from './upgrade.ts'

/** What was dialled for a request, from the check before the upgrade to the session after it. */
interface Dialled {
  guest: Duplex
  fields: object
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
      deps.sessions.assertRoom()
      const call = callOf(request, deps.parts, signalOf(reply.raw))
      const guest = await stream.open(call)
      closeTogether(request, guest)
      dialled.set(request, { guest, fields: recordOf(call, stream) })
    },
    handler: async (socket, request) => {
      const session = dialled.get(request)
      // Nothing comes here but through the hook above.
      if (!session) throw new Error('a stream was upgraded before its guest was dialled')
      await deps.sessions.run({ socket, ...session, review: (signal) => deps.review(request, signal) })
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

/** A client that goes away between dialling and upgrade leaves nobody who would close the guest's side. */
function closeTogether({ raw }: FastifyRequest, guest: Duplex): void {
  if (raw.socket.destroyed) guest.destroy()
  raw.socket.once('close', () => guest.destroy())
  // Errors are told to whoever reads the stream; before that there is nobody to tell.
  guest.on('error', () => {})
}
