import { StatusError } from '../../src/lib/errors.ts'
import { applyJsonPatch } from '../../src/lib/json-patch.ts'
import { copyJson } from '../../src/lib/json.ts'
import { applyMergePatch } from '../../src/lib/merge-patch.ts'
import { apiVersionOf, type Kind } from '../../src/kinds/kind.ts'
import { keyOf, type Draft, type KubeObject } from '../../src/kinds/meta.ts'
import type { Patch } from '../../src/store/store.ts'
import type { CertificateStorage } from '../../src/roles/certificates/outlets.ts'

/** Objects in memory with Kubernetes' optimistic concurrency. */
export interface VersionedStore extends CertificateStorage {
  find<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): T | undefined
  put<T extends KubeObject>(kind: Kind<T>, object: Draft<T>): void
  remove(kind: Kind, namespace: string, name: string): void
  /** Called around each write that has been accepted: throwing before keeps it from happening. */
  hooks: {
    before?: () => void | Promise<void>
    after?: (kind: Kind, object: KubeObject) => void | Promise<void>
  }
}

/** An empty one. */
export function versionedStore(): VersionedStore {
  const held = new Map<string, KubeObject>()
  let version = 1
  const idOf = (kind: Kind, namespace: string, name: string) => `${kind.plural}/${keyOf({ namespace, name })}`
  const hooks: VersionedStore['hooks'] = {}

  function find<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): T | undefined {
    // What was put under a kind is of that kind.
    return held.get(idOf(kind, namespace, name)) as T | undefined
  }
  function store<T extends KubeObject>(kind: Kind<T>, object: Draft<T>): T {
    const { namespace = '', name = '' } = object.metadata
    const metadata = { uid: name, ...object.metadata, resourceVersion: String(++version) }
    const stored = copyJson({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata })
    held.set(idOf(kind, namespace, name), stored as unknown as T)
    // As it was given, with a version.
    return copyJson(stored) as unknown as T
  }
  async function write<T extends KubeObject>(kind: Kind<T>, next: () => Draft<T>): Promise<T> {
    await hooks.before?.()
    const stored = store(kind, next())
    await hooks.after?.(kind, stored)
    return stored
  }
  const conflict = (name: string) => new StatusError(409, 'Conflict', `${name} has changed`)

  return {
    hooks,
    find,
    put: (kind, object) => void store(kind, object),
    remove: (kind, namespace, name) => void held.delete(idOf(kind, namespace, name)),
    get: async (kind, namespace, name) => {
      const present = find(kind, namespace, name)
      return present && copyJson(present)
    },
    create: (kind, draft) =>
      write(kind, () => {
        const { namespace = '', name = '' } = draft.metadata
        if (find(kind, namespace, name)) throw new StatusError(409, 'AlreadyExists', `${name} is there`)
        return draft
      }),
    update: (kind, object) =>
      write(kind, () => {
        const { namespace = '', name, resourceVersion } = object.metadata
        if (find(kind, namespace, name)?.metadata.resourceVersion !== resourceVersion) throw conflict(name)
        return object
      }),
    patch: async <T extends KubeObject>(kind: Kind<T>, namespace: string, name: string, patch: Patch) =>
      write(kind, () => {
        const present = find(kind, namespace, name)
        if (!present) throw new StatusError(404, 'NotFound', `${name} is not there`)
        const copy = copyJson(present)
        // A patch of an object is an object of the same kind.
        const next = (
          patch.type === 'json' ? applyJsonPatch(copy, patch.operations) : applyMergePatch(copy, patch.body)
        ) as T
        if (next.metadata.resourceVersion !== present.metadata.resourceVersion) throw conflict(name)
        return next
      }),
  }
}
