import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { ObjectReader, ObjectWatcher, Selection } from './store.ts'

/** What happened to one object: `before` is absent for a new one, `after` for one that is gone. */
export type ChangeHandler<T> = (before: T | undefined, after: T | undefined) => void

/**
 * The objects of a selection as last heard of, held in memory. They are shared between all readers: copy
 * before changing. The cache may lag behind the store and never goes back in time. Disposing of it ends it and waits for
 * that.
 */
export interface Informer<T extends KubeObject> extends AsyncDisposable {
  /** Resolves once the first list is in; also when it is closed before that. */
  readonly synced: Promise<void>
  /** `namespace` is '' for cluster-scoped kinds. */
  get(namespace: string, name: string): T | undefined
  list(): T[]
  /** The objects for which the named index gave `value`. Throws `RangeError` where there is no such index. */
  by(index: string, value: string): T[]
  /** Calls `handler` for each change from now on, after the cache has taken it in. */
  onChange(handler: ChangeHandler<T>): Disposable
}

/** What an informer is opened with. */
export interface InformerOptions<T extends KubeObject> {
  clock: Clock
  log: Log
  /** Values that objects are looked up by, besides their name. */
  indexes?: Record<string, (object: T) => string[]>
}

/** How to get an informer; `openInformer` is one. */
export type OpenInformer = <T extends KubeObject>(
  source: ObjectReader & ObjectWatcher,
  kind: Kind<T>,
  selection: Selection,
  options: InformerOptions<T>,
) => Informer<T>
