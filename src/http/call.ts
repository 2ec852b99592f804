import type { FastifyRequest } from 'fastify'
import type { ResourceAttributes } from '../auth/access.ts'
import { userOf } from '../auth/route.ts'
import { noSuchPath } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Call, Parts, Subresource } from '../subresources/subresource.ts'
import type { Sessions } from './sessions.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Takes WebSocket upgrades; every other route refuses them. */
    isStream?: boolean
  }
}

/** Where a subresource's route stands and who may call it. */
export interface RouteHead {
  url: string
  config: { access: (request: FastifyRequest) => ResourceAttributes; isStream: boolean }
}

/** What the routes of subresources need. */
export interface RouteParts {
  parts: Parts
  subresources: readonly Subresource[]
  sessions: Sessions
  log: Log
  /** Throws where the user of an open stream may no longer use it. */
  review: (request: FastifyRequest, signal: AbortSignal) => Promise<void>
  isOriginAllowed: (request: FastifyRequest) => boolean
}

/** Whose subresource is meant. Throws 404 for what no object can be called. */
export function targetOf({ params }: FastifyRequest): { namespace: string; name: string } {
  // Both are in the path of every route of a subresource.
  const { namespace, name } = params as { namespace: string; name: string }
  for (const part of [namespace, name]) {
    if (part === '' || part === '.' || part === '..' || part.includes('/')) throw noSuchPath()
  }
  return { namespace, name }
}

/** The call a request makes. */
export function callOf(request: FastifyRequest, parts: Parts, signal: AbortSignal): Call {
  return {
    ...parts,
    ...targetOf(request),
    user: userOf(request),
    query: firstValues(request.query),
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    signal,
  }
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
  readonly writableFinished: boolean
  once(name: 'close', run: () => void): unknown
}

/** Aborts when the client goes away before it has its answer. */
export function signalOf(answer: Answer): AbortSignal {
  const controller = new AbortController()
  answer.once('close', () => {
    if (!answer.writableFinished) controller.abort(new Error('the client went away'))
  })
  return controller.signal
}

/** What is written down of who did what. Source: security K1. */
export function recordOf(
  { user, namespace, name }: Call,
  { resource, name: subresource }: Subresource,
): object {
  return {
    user: user.name,
    groups: user.groups,
    namespace,
    name,
    subresource: `${resource.plural}/${subresource}`,
  }
}
