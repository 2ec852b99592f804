import type { User } from '../auth/access.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { DeleteOptions, Selection, Store } from '../store/store.ts'

/** What a list may ask for beyond a selection. Source: `metav1.ListOptions`. */
export interface ListOptions extends Selection {
  /** Items a page; all when absent. */
  limit?: number
  /** Token of the page before. Throws 410 `Expired` where its version is gone. */
  continue?: string
  resourceVersion?: string
  resourceVersionMatch?: 'Exact' | 'NotOlderThan'
}

/** One page of a list. */
export interface ListPage {
  items: KubeObject[]
  resourceVersion: string
  continue?: string
  remainingItemCount?: number
}

/** A list that is read piece by piece, all of it as of one version. */
export interface Listing {
  resourceVersion: string
  /** Reads the next objects, few or none; `undefined` at the end. Throws 410 where the version is gone meanwhile. */
  next(): KubeObject[] | undefined
  /** What the list says of itself besides, once it has come to its end. */
  rest(): Pick<ListPage, 'continue' | 'remainingItemCount'>
}

/** What a watch may ask for beyond a selection. */
export interface WatchOptions extends Selection {
  /** Changes after this version; '' or '0': the present objects first, as ADDED. */
  resourceVersion: string
  allowWatchBookmarks?: boolean
  /** The present objects as ADDED, then a bookmark annotated `k8s.io/initial-events-end`. */
  sendInitialEvents?: boolean
}

/** A change with its object's JSON, serialised once for all watchers. */
export interface ServedEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  object: KubeObject
  /** `JSON.stringify(object)`. */
  json: string
}

/** Who writes, and how. */
export interface WriteContext {
  user: User
  dryRun?: boolean
  subresource?: 'status'
  /** What to do about fields the schema does not know; `Warn` where the client does not say. */
  fieldValidation?: 'Ignore' | 'Warn' | 'Strict'
  fieldManager?: string
  /** Warnings for the client are appended here. */
  warnings: string[]
}

/** Media types of patches, by the name used in code. */
export type PatchType = 'json' | 'merge' | 'strategic'

/**
 * The Kubernetes API of embedded mode without its HTTP part: admission, validation, versions, finalizers,
 * watches. Authorization has happened before. Every refusal is a `StatusError`.
 */
export interface ObjectApi {
  get(kind: Kind, namespace: string, name: string): Promise<KubeObject>
  list(kind: Kind, options: ListOptions): Promise<ListPage>
  /** The same, to be read by whoever asks, as fast as they like. */
  openList(kind: Kind, options: ListOptions): Listing
  create(kind: Kind, namespace: string, object: KubeObject, context: WriteContext): Promise<KubeObject>
  update(
    kind: Kind,
    namespace: string,
    name: string,
    object: KubeObject,
    context: WriteContext,
  ): Promise<KubeObject>
  patch(
    kind: Kind,
    namespace: string,
    name: string,
    type: PatchType,
    body: unknown,
    context: WriteContext,
  ): Promise<KubeObject>
  /** The object as it stood, or as it waits for its finalizers; `removed` tells which. */
  delete(
    kind: Kind,
    namespace: string,
    name: string,
    options: DeleteOptions,
    context: WriteContext,
  ): Promise<{ object: KubeObject; removed: boolean }>
  /** Answers what was there. Others go on meanwhile; what they create after it has begun is not deleted. */
  deleteCollection(
    kind: Kind,
    selection: Selection,
    options: DeleteOptions,
    context: WriteContext,
  ): Promise<ListPage>
  /** Ends when `signal` aborts, or the reader is too slow (the client watches again). Throws 410 when too old. */
  watch(kind: Kind, options: WatchOptions, signal: AbortSignal): AsyncIterable<ServedEvent>
  /** The same API for callers inside the process, acting as `user`. */
  as(user: User): Store
}

/** What is wrong with an object's shape. */
export interface ShapeReport {
  /** Wrong types, missing required fields, bad formats: refuse with 422. */
  causes: { reason: string; message: string; field: string }[]
  /** Paths of fields the schema does not know, such as `spec.template.spec.domian`. */
  unknownFields: string[]
  /** Whether there are members that are `null`: they count as absent, and pruning takes them away. */
  hasNulls?: boolean
}

/** Checks objects against the schema of their kind. */
export interface ShapeChecker {
  check(kind: Kind, object: KubeObject): ShapeReport
  /** A copy without the fields the schema does not know, and without those that are `null`. */
  prune<T extends KubeObject>(kind: Kind, object: T): T
}
