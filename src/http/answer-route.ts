import { formatExact } from '../lib/exact-json.ts'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { userOf } from '../auth/route.ts'
import type { Action, Content, Download, Query } from '../subresources/subresource.ts'
import { readBody } from './body.ts'
import { callOf, signalOf, targetOf, type RouteHead, type RouteParts } from './call.ts'
import { requireAccepted } from './document.ts'
import type { Seat } from './seats.ts'
import { JSON_TYPE } from './status.ts'

/** Registers what is asked and answered once. */
export function addAnswerRoute(
  scope: FastifyInstance,
  route: RouteHead,
  subresource: Action | Query | Download,
  deps: RouteParts,
): void {
  scope.route({
    ...route,
    method: subresource.method,
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      if (subresource.type === 'download') return download(request, reply, subresource, deps)
      if (subresource.type === 'query') await prepareQuery(request, subresource)
      const call = callOf(request, deps, signalOf(reply.raw))
      const content = await subresource.run(call)
      reply.code(subresource.type === 'action' ? subresource.success : 200)
      return content ? reply.type(JSON_TYPE).send(Buffer.from(formatExact(content))) : reply.send()
    },
  })
}

/** Throws 406 where the client takes no JSON, 413 where its body is too large. */
async function prepareQuery(request: FastifyRequest, { fields }: Query): Promise<void> {
  requireAccepted(request, JSON_TYPE)
  // Fastify reads no body on GET.
  if (fields) request.body = await readBody(request)
}

/** Sends bytes, as they come where they do; it counts as a stream for as long as it lasts. Source: security C8, H4. */
async function download(
  request: FastifyRequest,
  reply: FastifyReply,
  subresource: Download,
  deps: RouteParts,
): Promise<FastifyReply> {
  requireAccepted(request, subresource.mediaType)
  const seat = deps.sessions.takeSeat({
    user: userOf(request).name,
    ...targetOf(request),
    kind: subresource.name,
  })
  const over = new AbortController()
  reply.raw.once('close', () => endDownload(seat, over))
  const content = await subresource.run(callOf(request, deps, signalOf(reply.raw)))
  if (content.body instanceof Readable) endWithRight(request, content.body, over.signal, deps)
  return sendContent(reply, content)
}

function endDownload(seat: Seat, over: AbortController): void {
  seat[Symbol.dispose]()
  over.abort()
}

/** What goes on is cut off once its user may no longer see it. Source: security B5. */
function endWithRight(
  request: FastifyRequest,
  body: Readable,
  signal: AbortSignal,
  { sessions, review }: RouteParts,
): void {
  // Nobody reads it any more where the client left while it was opened.
  if (signal.aborted) body.destroy()
  void sessions
    .watchRight((until) => review(request, until), signal)
    .then((lost) => lost && body.destroy(new Error(`the right to read on is ${lost}`)))
}

function sendContent(reply: FastifyReply, { mediaType, body }: Content): FastifyReply {
  return reply.header('cache-control', 'no-store').type(mediaType).send(body)
}
