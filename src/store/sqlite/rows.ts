import { formatExact, parseExact } from '../../lib/exact-json.ts'
import type { KubeObject } from '../../kinds/meta.ts'

/** Where an object stands. `kind` is the key from `kindKey`, `namespace` is '' for cluster-scoped kinds. */
export interface ObjectKey {
  kind: string
  namespace: string
  name: string
}

/** The newest version of an object. */
export interface ObjectRow extends ObjectKey {
  uid: string
  /** The revision of its last write: its `resourceVersion`. */
  revision: number
  /** The object as JSON, its `resourceVersion` included. */
  json: string
}

/** What a list is narrowed to. */
export interface RowQuery {
  kind: string
  /** All namespaces when absent. */
  namespace?: string
  /** As the rows were at this revision; the newest when absent. */
  revision?: number
  /** Rows behind this one, in order of namespace and name. */
  after?: { namespace: string; name: string }
  limit?: number
}

/** A row of a list. */
export interface ListedRow {
  namespace: string
  name: string
  json: string
}

/** One committed write. Revisions rise strictly over all kinds. */
export interface Change extends ObjectKey {
  revision: number
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** The object after the write; a deleted one as it last stood, with the version of its deletion. */
  json: string
  /** The object before the write; absent for `ADDED`. */
  previousJson?: string
}

/** What a write may do while it has the database to itself. Nothing in it waits. */
export interface Transaction {
  get(key: ObjectKey): ObjectRow | undefined
  has(query: { kind: string; namespace: string }): boolean
  /** Creates or replaces; sets `metadata.resourceVersion` of `object` to the new revision. */
  put<T extends KubeObject>(kind: string, object: T): T
  /** Removes the object; what stood there, or `undefined`. */
  remove(key: ObjectKey): ObjectRow | undefined
}

/** Object rows with one revision over all of them. Reads see all that was acknowledged, and never half a write. */
export interface ObjectDatabase extends Disposable {
  /** The newest committed revision. */
  revision(): number
  /** Changes up to this revision are no longer kept: a watch or a list from before it has to start anew. */
  compactedRevision(): number
  get(key: ObjectKey): ObjectRow | undefined
  findByUid(uid: string): ObjectRow | undefined
  /** In order of namespace and name. A `revision` below `compactedRevision()` must not be asked for. */
  list(query: RowQuery): ListedRow[]
  count(query: Omit<RowQuery, 'limit'>): number
  /** Names of the kind's objects that were last written before this time (milliseconds since 1970). */
  listWrittenBefore(kind: string, timeMs: number): ObjectKey[]
  /** The kind's changes after `revision`, oldest first. */
  changesSince(kind: string, revision: number): Change[]
  /**
   * Runs `step` in a transaction and settles when it is on disk. What `step` throws undoes its own writes alone
   * and is thrown on. Throws `DatabaseFailure` where the disk refuses.
   */
  write<T>(step: (transaction: Transaction) => T): Promise<T>
  /** Calls `listener` after each commit with its changes, in order. It must not throw. */
  subscribe(listener: (changes: readonly Change[]) => void): Disposable
}

/** The key of a kind in the database: `virtualmachines.kubevirt.io`, `secrets`. */
export function kindKey({ plural, group }: { plural: string; group: string }): string {
  return group ? `${plural}.${group}` : plural
}

/** An object's JSON with another version: what a watch shows of one that is gone. */
export function atRevision(json: string, revision: number): string {
  // Only objects are stored.
  const object = parseExact(json) as KubeObject
  object.metadata.resourceVersion = String(revision)
  return formatExact(object)
}
