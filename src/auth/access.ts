/** Who is asking. Source: `authentication.k8s.io/v1` UserInfo. */
export interface User {
  name: string
  uid?: string
  groups: string[]
  /** Keys in lower case. */
  extra?: Record<string, string[]>
}

/** What is asked for, taken from the matched route and never from splitting a URL. */
export interface ResourceAttributes {
  kind: 'resource'
  verb: string
  group: string
  version: string
  resource: string
  subresource?: string
  namespace?: string
  name?: string
}

/** A request for something that is no resource, such as `/version`. */
export interface PathAttributes {
  kind: 'path'
  verb: string
  path: string
}

export type Attributes = ResourceAttributes | PathAttributes

/** Whether it is granted, and why or why not. */
export interface Decision {
  allowed: boolean
  /** For people; empty where there is nothing to say. */
  reason: string
}

/** Answers whether a user may do something. Throws where it cannot find out; that never means yes. */
export interface Authorizer {
  review(user: User, attributes: Attributes, signal?: AbortSignal): Promise<Decision>
}

/** The parts of a request that identity is read from. */
export interface Credentials {
  /** The client certificate of the connection, as DER: the client has its key, nothing else was checked. */
  clientCertificate?: Uint8Array
  /** What the client has shown besides, as DER: certificates between its own and an authority's. Nothing was checked. */
  intermediates?: readonly Uint8Array[]
  /** The `Authorization` bearer token, or the one from the WebSocket bearer subprotocol. */
  bearerToken?: string
  /** Header lines in order, names as received. */
  rawHeaders: string[]
  /** A per-connection object to remember verdicts on. */
  connection: object
}

/** Finds out who is asking. `undefined`: these credentials say nothing to this authenticator. */
export interface Authenticator {
  /** Throws 401 where credentials are presented and are wrong. */
  authenticate(credentials: Credentials): Promise<User | undefined>
}
