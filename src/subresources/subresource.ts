import type { Duplex, Readable } from 'node:stream'
import type { User } from '../auth/access.ts'
import type { KubeVirtConfiguration } from '../kinds/configuration.ts'
import type { Expander } from '../instancetype/expand.ts'
import type { MayUse } from '../kinds/foreign-use.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { Cause } from '../lib/errors.ts'
import type { Nodes } from '../rpc/actions.ts'
import type { Store } from '../store/store.ts'
import type { EventRecorder } from '../store/events.ts'
import type { OptionFields } from './body.ts'

/** What a handler may use: parts that a role has put together. */
export interface Parts {
  store: Pick<Store, 'get' | 'list' | 'create' | 'patch'>
  nodes: Nodes
  events: EventRecorder
  /** What the KubeVirt object says now: `spec.configuration`. */
  configuration: () => Promise<KubeVirtConfiguration>
  /** Writes out the instance types and preferences of VMs. */
  expander: Expander
  /** What a caller may use of other namespaces than that of the request. */
  foreignUses: (user: User, signal: AbortSignal) => MayUse
  shapes: Shapes
}

/** Holds objects against the schema of their kind. */
export interface Shapes {
  /** What is wrong with an object, and the paths of what its kind does not know. */
  check(kind: Kind, object: object): { causes: Cause[]; unknownFields: string[] }
  /** A copy without what its kind does not know. */
  prune<T extends KubeObject>(kind: Kind, object: T): T
}

/** One request to a subresource, authenticated and authorized. */
export interface Call extends Parts {
  namespace: string
  name: string
  user: User
  /** Query parameters; a repeated one gives its first value. */
  query: Record<string, string | undefined>
  /** All values of a query parameter, in order. */
  queryAll: (name: string) => string[]
  /** What stands in the further parts of the path. */
  params: Record<string, string | undefined>
  /** The raw body, at most 256 KiB; empty when there was none. */
  body: Buffer
  /** Aborts when the client goes away. */
  signal: AbortSignal
}

interface Common {
  /** The parent: VMs or VMIs of `kubevirt.io`. Absent where it stands in the namespace itself, as `expand-vm-spec`. */
  resource?: Kind
  /** Path after the object's name, such as `pause` or `vnc/screenshot`; also the RBAC subresource. */
  name: string
  /** RBAC verb. `create` where whoever may read must not be able to. */
  verb: 'get' | 'update' | 'create'
  /** Kind named in discovery and OpenAPI. */
  kind: string
  /** Group and version of that kind; the subresource group where absent. */
  kindGroup?: { group: string; version: string }
  /** One sentence for OpenAPI. */
  description: string
}

interface Reading extends Common {
  method: 'GET'
  /** Query parameters it knows, for OpenAPI. */
  parameters?: Record<string, { type: 'boolean' | 'integer' | 'string'; description: string }>
}

/** An action: answers with an empty body, or with JSON where `run` gives some. */
export interface Action extends Common {
  type: 'action'
  method: 'PUT'
  /** Status code of success, as the contract says: clients tell 202 from 200. */
  success: 200 | 202
  /** Fields of its body, of which each may be absent. Absent itself where the body is an object of a kind. */
  fields?: OptionFields
  run(call: Call): Promise<object | void>
}

/** Answers with JSON. */
export interface Query extends Reading {
  type: 'query'
  /** A body is read on GET: `objectgraph` (contract: K8). */
  fields?: OptionFields
  run(call: Call): Promise<object>
}

/** Bytes with a media type of their own. */
export interface Content {
  mediaType: string
  /** A stream is sent as it comes, for as long as the client stays. */
  body: Buffer | Readable
}

/** Answers with bytes: an image, a text. Never cached by anybody on the way. */
export interface Download extends Reading {
  type: 'download'
  mediaType: string
  run(call: Call): Promise<Content>
}

/**
 * How a stream's bytes are messages on the WebSocket: `bytes` (boundaries mean nothing), `datagrams` (one message is
 * one datagram, see `lib/datagrams.ts`), `exec` (channels of Kubernetes, from lines of `ExecOutput`).
 */
export type Framing = 'bytes' | 'datagrams' | 'exec'

/** A byte stream over WebSocket. */
export interface Stream extends Reading {
  type: 'stream'
  /** Further parts of the path, such as `/:port/:protocol`; in `Call.params`. None where absent. */
  paths?: readonly string[]
  /** `bytes` where absent. */
  framing?: (call: Call) => Framing
  /** Query parameters that its audit lines name, as they came: none that may hold a secret. */
  audited?: readonly string[]
  /** A side that has sent all it had may still receive, as TCP has it. */
  halfClose?: boolean
  /** Dials the target. What it throws is answered as plain HTTP; only then is the client upgraded. */
  open(call: Call): Promise<Duplex>
}

/**
 * A subresource is a value: its route, its line in discovery, its RBAC attributes and its OpenAPI entry are
 * read from it, so that nothing is listed twice.
 */
export type Subresource = Action | Query | Download | Stream
