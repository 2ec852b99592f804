/**
 * What a route of the HTTP server says about who may call it. Every route has to say it: `http/server.ts` refuses to
 * start with one that does not.
 */
import type { FastifyRequest } from 'fastify'
import type { Attributes, User } from './access.ts'

/**
 * `open`: anybody, without looking at credentials. Otherwise what is asked for, read from the matched route and its
 * parameters, never by splitting the URL.
 */
export type Access = 'open' | ((request: FastifyRequest) => Attributes)

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. */
    access?: Access
  }
  interface FastifyRequest {
    /** Who is asking, after impersonation; not set on open routes: use `userOf`. */
    user: User | undefined
  }
}

/** Who is asking. For routes that are not open: on those nobody was asked. */
export function userOf(request: FastifyRequest): User {
  if (!request.user) throw new Error(`${request.url} is open: nobody was asked who they are`)
  return request.user
}
