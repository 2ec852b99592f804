import type { Draft, KubeObject } from '../kinds/meta.ts'
import type { Kind } from '../kinds/kind.ts'

/** What narrows a list or a watch. Both selectors are in Kubernetes' text form. */
export interface Selection {
  /** All namespaces when absent. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
}

/** A list as of one moment; `resourceVersion` is where a watch takes over. */
export interface ObjectList<T> {
  items: T[]
  resourceVersion: string
}

/** One change. `BOOKMARK` carries an object of which only `metadata.resourceVersion` counts. */
export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  object: T
}

/** Reads objects as they are now. */
export interface ObjectReader {
  /** The object, or `undefined` where there is none. `namespace` is '' for cluster-scoped kinds. */
  get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): Promise<T | undefined>
  list<T extends KubeObject>(kind: Kind<T>, selection?: Selection): Promise<ObjectList<T>>
}

/** Follows changes from a list on. */
export interface ObjectWatcher {
  /**
   * Changes after `resourceVersion`, in order, until `signal` aborts or the server ends the watch (then watch
   * again from the last version seen). Throws a `StatusError` 410 `Expired` where that version is too old.
   */
  watch<T extends KubeObject>(
    kind: Kind<T>,
    resourceVersion: string,
    selection: Selection,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>
}

/** How a write is to be done. */
export interface WriteOptions {
  /** Runs all checks and stores nothing. */
  dryRun?: boolean
  subresource?: 'status'
}

/** How a delete is to be done. */
export interface DeleteOptions {
  dryRun?: boolean
  /** Refused with 409 where the object has another UID or version. */
  preconditions?: { uid?: string; resourceVersion?: string }
  gracePeriodSeconds?: number
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
}

/** A patch by its media type. */
export type Patch =
  | { type: 'json'; operations: JsonPatchOperation[] }
  | { type: 'merge'; body: Record<string, unknown> }

/** One step of RFC 6902. */
export type JsonPatchOperation =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; path: string; from: string }

/** Changes objects. Every refusal is a `StatusError`; a lost race is 409 `Conflict`. */
export interface ObjectWriter {
  create<T extends KubeObject>(kind: Kind<T>, object: Draft<T>, options?: WriteOptions): Promise<T>
  /** Replaces the object; its `metadata.resourceVersion`, when present, must be the stored one. */
  update<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>
  patch<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string,
    name: string,
    patch: Patch,
    options?: WriteOptions,
  ): Promise<T>
  /** Marks for deletion, or removes at once where no finalizer is left. 404 where there is none. */
  delete<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string,
    name: string,
    options?: DeleteOptions,
  ): Promise<void>
}

/** All of the Kubernetes API that handlers and controllers may ask for. */
export type Store = ObjectReader & ObjectWriter & ObjectWatcher
