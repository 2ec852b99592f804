import type { FastifyInstance, FastifyRequest } from 'fastify'
import { userOf } from '../auth/route.ts'
import { VMIS } from '../kinds/table.ts'
import { refusedSubject } from '../kinds/kind.ts'
import { formatTime, type Clock } from '../lib/clock.ts'
import { badRequest, notFound } from '../lib/errors.ts'
import type { Parts, Stream, Subresource } from '../subresources/subresource.ts'
import { paramsOf, targetOf } from './call.ts'
import { requireAccepted } from './document.ts'
import { GROUP } from './group.ts'
import { JSON_TYPE } from './status.ts'
import { attributesOf, pathsOf } from './subresource-path.ts'
import type { Tickets, TicketScope } from './tickets.ts'

/** Proxies refuse URLs that are longer; such tickets come of users who are in hundreds of groups. */
const TICKET_LIMIT_BYTES = 6 * 1024

/** What tickets are given out with. */
export interface TicketParts {
  parts: Parts
  tickets: Tickets
  clock: Pick<Clock, 'now'>
}

/**
 * Registers `POST …/ticket` below a stream: whoever may open the stream gets a ticket for it, with which
 * `GET …?ticket=…` opens it once, within 30 s.
 */
export function addTicketRoutes(
  scope: FastifyInstance,
  version: string,
  stream: Stream,
  deps: TicketParts,
): void {
  for (const path of pathsOf(version, stream)) {
    scope.route({
      method: 'POST',
      url: `${path}/ticket`,
      config: { access: (request) => attributesOf(request, version, stream) },
      handler: async (request, reply) => {
        requireAccepted(request, JSON_TYPE)
        const answer = await giveTicket(request, version, stream, deps)
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .type(JSON_TYPE)
          .send(Buffer.from(JSON.stringify(answer)))
      },
    })
  }
}

/** What a request to a stream asks a ticket for. */
export function scopeOf(request: FastifyRequest, stream: Subresource): Omit<TicketScope, 'vmiUid'> {
  const { namespace: _namespace, name: _name, ...params } = paramsOf(request)
  return {
    resource: stream.resource?.plural ?? '',
    ...targetOf(request),
    stream: stream.name,
    params: Object.fromEntries(Object.entries(params).map(([key, value = '']) => [key, value])),
  }
}

async function giveTicket(
  request: FastifyRequest,
  version: string,
  stream: Stream,
  { parts, tickets, clock }: TicketParts,
): Promise<object> {
  const scope = scopeOf(request, stream)
  const { namespace, name } = scope
  const vmi = await parts.store.get(VMIS, namespace, name)
  if (!vmi) throw notFound(refusedSubject(VMIS), name)
  const bound = { ...scope, vmiUid: vmi.metadata.uid }
  const status = await tickets.issue(userOf(request), bound, request.headers.origin)
  if (status.ticket.length > TICKET_LIMIT_BYTES) {
    throw badRequest('you are in too many groups for a ticket: open the stream with a token instead')
  }
  return {
    kind: 'StreamTicket',
    apiVersion: `${GROUP}/${version}`,
    metadata: { namespace, name, creationTimestamp: formatTime(clock.now()) },
    status,
  }
}
