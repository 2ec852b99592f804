import type { FastifyRequest } from 'fastify'
import type { ResourceAttributes } from '../auth/access.ts'
import { userOf } from '../auth/route.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import { noSuchPath, unauthorized } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import type { Call, Parts, Subresource } from '../subresources/subresource.ts'
import type { ServerWatch } from '../metrics/server.ts'
import type { SessionCounter } from '../metrics/sessions.ts'
import type { Auditor } from './audit.ts'
import type { Sessions } from './sessions.ts'
import type { Ticket, Tickets } from './tickets.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Takes WebSocket upgrades; every other route refuses them. */
    isStream?: boolean
    /** The subresource that the route is one of. */
    subresource?: Subresource
  }
  interface FastifyRequest {
    /** The ticket that a stream is opened with. */
    ticket: Ticket | undefined
  }
}

/** Where a subresource's route stands and who may call it. */
export interface RouteHead {
  url: string
  bodyLimit: number
  config: {
    access: (request: FastifyRequest) => ResourceAttributes
    isStream: boolean
    subresource: Subresource
  }
}

/** What the routes of subresources need. */
export interface RouteParts {
  parts: Parts
  subresources: readonly Subresource[]
  sessions: Sessions
  auditor: Auditor
  tickets: Tickets
  clock: Clock
  /** Throws where the user of an open stream may no longer use it. */
  review: (request: FastifyRequest, signal: AbortSignal) => Promise<void>
  isOriginAllowed: (request: FastifyRequest) => boolean
  /** Told of sessions that carry bytes. */
  sessionCounter?: SessionCounter
  /** Told of streams. */
  watch?: ServerWatch
}

/** Whose subresource is meant; without a name where it stands in the namespace. Throws 404 for what nothing is called. */
export function targetOf(request: FastifyRequest): { namespace: string; name: string } {
  const { namespace = '', name, ...more } = paramsOf(request)
  // A slash at the end is one more, empty part.
  if (Object.values(more).includes('')) throw noSuchPath()
  for (const part of [namespace, ...(name === undefined ? [] : [name])]) {
    if (part === '' || part === '.' || part === '..' || part.includes('/')) throw noSuchPath()
  }
  return { namespace, name: name ?? '' }
}

/** What stands in the variable parts of the path. */
export function paramsOf({ params }: FastifyRequest): Call['params'] {
  // Routes of subresources have only named parts, and those are texts.
  return params as Call['params']
}

/** The call a request makes. */
export function callOf(
  request: FastifyRequest,
  { parts, auditor }: Pick<RouteParts, 'parts' | 'auditor'>,
  signal: AbortSignal,
): Call {
  const { namespace: _namespace, name: _name, ...params } = paramsOf(request)
  return {
    ...parts,
    store: watchReads(parts.store, request, auditor),
    ...targetOf(request),
    user: userOf(request),
    query: firstValues(request.query),
    queryAll: (name) => allValues(request.query, name),
    params,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    signal,
  }
}

/**
 * The store, noting the objects that the call is about as its handler sees them. Throws 401 where a ticket was given
 * for another VMI of that name.
 */
function watchReads(store: Parts['store'], request: FastifyRequest, auditor: Auditor): Parts['store'] {
  const target = targetOf(request)
  return {
    async get(kind, namespace, name) {
      const object = await store.get(kind, namespace, name)
      if (!object || namespace !== target.namespace || name !== target.name) return object
      if (kind.plural === VMIS.plural || kind.plural === VMS.plural) {
        auditor.noteObject(request, kind, object)
      }
      if (request.ticket && kind.plural === VMIS.plural && object.metadata.uid !== request.ticket.vmiUid) {
        throw unauthorized('the ticket was for another VirtualMachineInstance of that name')
      }
      return object
    },
    list: (...args) => store.list(...args),
    create: (...args) => store.create(...args),
    patch: (...args) => store.patch(...args),
  }
}

/** All values of a query parameter, in order. */
export function allValues(query: unknown, name: string): string[] {
  if (!isRecord(query) || !Object.hasOwn(query, name)) return []
  return [query[name]].flat().filter((value) => typeof value === 'string')
}

function firstValues(query: unknown): Call['query'] {
  // Without a prototype: the names come from the client.
  const values: Call['query'] = Object.create(null)
  for (const [name, value] of Object.entries(query ?? {})) {
    const first: unknown = Array.isArray(value) ? value[0] : value
    if (typeof first === 'string') values[name] = first
  }
  return values
}

/** The part of an answer that tells whether the client is still there. */
interface Answer {
  readonly writableEnded: boolean
  readonly writableFinished: boolean
  once(name: 'close', run: () => void): unknown
}

/** Whether the client has got all of it. HTTP/2 finishes what its client has left, too, though nobody has ended it. */
export function isAnswered({ writableEnded, writableFinished }: Omit<Answer, 'once'>): boolean {
  return writableEnded && writableFinished
}

const signals = new WeakMap<Answer, AbortSignal>()

/** Aborts when the client goes away before it has its answer. The same for all who ask. */
export function signalOf(answer: Answer): AbortSignal {
  const present = signals.get(answer)
  if (present) return present
  const controller = new AbortController()
  signals.set(answer, controller.signal)
  answer.once('close', () => {
    if (!isAnswered(answer)) controller.abort(new Error('the client went away'))
  })
  return controller.signal
}
