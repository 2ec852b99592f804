import { applyJsonPatch } from '../../src/lib/json-patch.ts'
import { copyJson } from '../../src/lib/json.ts'
import { alreadyExists, notFound, StatusError } from '../../src/lib/errors.ts'
import { refusedKind, type Kind } from '../../src/kinds/kind.ts'
import { keyOf, type Draft, type KubeObject } from '../../src/kinds/meta.ts'
import type { JsonPatchOperation, Patch, WriteOptions } from '../../src/store/store.ts'
import type { Parts } from '../../src/subresources/subresource.ts'

/** A patch that a handler sent. */
export interface SeenPatch {
  kind: string
  subresource?: 'status'
  dryRun?: boolean
  operations: JsonPatchOperation[]
}

/** Objects in memory that behave as Kubernetes' do towards a handler: versions, patches, 404 and 422. */
export interface MemoryStore {
  store: Parts['store']
  patches: SeenPatch[]
  /** The object as it is now. */
  find: <T extends KubeObject>(kind: Kind<T>, namespace: string, name: string) => T | undefined
  put: (kind: Kind, object: KubeObject) => void
  /** Runs before the next patch is applied: somebody else's write. */
  interfere: (run: (() => void) | undefined) => void
}

export function memoryStore(...objects: [Kind, KubeObject | undefined][]): MemoryStore {
  const held = new Map<string, KubeObject>()
  const patches: SeenPatch[] = []
  let version = 100
  let interference: (() => void) | undefined
  const idOf = (kind: Kind, namespace: string, name: string) => `${kind.plural}/${keyOf({ namespace, name })}`
  const put = (kind: Kind, object: KubeObject) => {
    version += 1
    const stored = copyJson(object)
    stored.metadata.resourceVersion = String(version)
    held.set(idOf(kind, object.metadata.namespace ?? '', object.metadata.name), stored)
    return stored
  }
  for (const [kind, object] of objects) if (object) put(kind, object)

  function find<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): T | undefined {
    // What was put under a kind is of that kind.
    return held.get(idOf(kind, namespace, name)) as T | undefined
  }

  async function patch<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string,
    name: string,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    interference?.()
    const object = find(kind, namespace, name)
    if (!object) throw notFound(refusedKind(kind), name)
    if (patch.type !== 'json') throw new Error('only JSON patches are expected here')
    const { subresource, dryRun } = options
    patches.push({
      kind: kind.plural,
      ...(subresource && { subresource }),
      ...(dryRun !== undefined && { dryRun }),
      operations: patch.operations,
    })
    let patched: T
    try {
      // A patch of an object is an object of the same kind, as far as these tests go.
      patched = applyJsonPatch(object, patch.operations) as T
    } catch (error) {
      throw new StatusError(
        422,
        'Invalid',
        'the server rejected our request due to an error in our request',
        {},
        error,
      )
    }
    if (!dryRun) put(kind, patched)
    return patched
  }

  const store: Parts['store'] = {
    get: async (kind, namespace, name) => structuredClone(find(kind, namespace, name)),
    list: async <T extends KubeObject>(kind: Kind<T>) => ({
      // As in `find`.
      items: [...held].filter(([id]) => id.startsWith(`${kind.plural}/`)).map(([, object]) => object as T),
      resourceVersion: String(version),
    }),
    create: async <T extends KubeObject>(kind: Kind<T>, draft: Draft<T>, options: WriteOptions = {}) => {
      const { namespace = '', name = '' } = draft.metadata
      if (find(kind, namespace, name)) throw alreadyExists(refusedKind(kind), name)
      // What it lacks is nothing that a handler looks at.
      const object = structuredClone(draft) as T
      return options.dryRun ? object : (put(kind, object) as T)
    },
    patch,
  }
  return {
    store,
    patches,
    find,
    put: (kind, object) => void put(kind, object),
    interfere: (run) => {
      interference = run
    },
  }
}
