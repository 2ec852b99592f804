import type { Duplex } from 'node:stream'
import type { User } from '../auth/access.ts'
import type { Kind } from '../kinds/kind.ts'
import type { Nodes } from '../rpc/actions.ts'
import type { Store } from '../store/store.ts'
import type { EventRecorder } from '../store/events.ts'
import type { OptionFields } from './body.ts'

/** What a handler may use: parts that a role has put together. */
export interface Parts {
  store: Pick<Store, 'get' | 'list' | 'create' | 'patch'>
  nodes: Nodes
  events: EventRecorder
}

/** One request to a subresource, authenticated and authorized. */
export interface Call extends Parts {
  namespace: string
  name: string
  user: User
  /** Query parameters; a repeated one gives its first value. */
  query: Record<string, string | undefined>
  /** The raw body, at most 256 KiB; empty when there was none. */
  body: Buffer
  /** Aborts when the client goes away. */
  signal: AbortSignal
}

interface Common {
  /** The parent: VMs or VMIs of `kubevirt.io`. */
  resource: Kind
  /** Path after the object's name, such as `pause` or `vnc/screenshot`; also the RBAC subresource. */
  name: string
  /** RBAC verb. */
  verb: 'get' | 'update'
  /** Kind named in discovery and OpenAPI. */
  kind: string
  /** One sentence for OpenAPI. */
  description: string
}

/** An action: answers with an empty body. */
export interface Action extends Common {
  method: 'PUT'
  /** Status code of success, as the contract says: clients tell 202 from 200. */
  success: 200 | 202
  /** Fields of its body, of which each may be absent. */
  fields: OptionFields
  run(call: Call): Promise<void>
}

/** A byte stream over WebSocket. */
export interface Stream extends Common {
  method: 'GET'
  /** Query parameters it knows, for OpenAPI. */
  parameters?: Record<string, { type: 'boolean' | 'integer'; description: string }>
  /** Dials the target. What it throws is answered as plain HTTP; only then is the client upgraded. */
  open(call: Call): Promise<Duplex>
}

/**
 * A subresource is a value: its route, its line in discovery, its RBAC attributes and its OpenAPI entry are
 * read from it, so that nothing is listed twice.
 */
export type Subresource = Action | Stream
