import { alreadyExists, conflict, expired, notFound } from '../../src/lib/errors.ts'
import { apiVersionOf, refusedKind, type Kind } from '../../src/kinds/kind.ts'
import type { Draft, KubeObject } from '../../src/kinds/meta.ts'
import type { Store, WatchEvent } from '../../src/store/store.ts'

/** A store in memory, with merge patches one level deep below `metadata`, and watches that can be broken. */
export interface MemoryStore extends Store {
  /** Ends all watches with a 410 and lets no list through until `mend`. */
  breakDown(): void
  mend(): void
}

interface Watcher {
  plural: string
  push(event: WatchEvent<KubeObject> | Error): void
}

/** Opens an empty one. */
export function openMemoryStore(): MemoryStore {
  const objects = new Map<string, KubeObject>()
  const watchers = new Set<Watcher>()
  let version = 0
  let broken = false
  const keyOf = (kind: Kind, namespace: string, name: string) => `${kind.plural}/${namespace}/${name}`

  function put<T extends KubeObject>(kind: Kind<T>, object: T, type: 'ADDED' | 'MODIFIED'): T {
    version += 1
    const stored = {
      ...structuredClone(object),
      metadata: { ...object.metadata, resourceVersion: String(version) },
    }
    objects.set(keyOf(kind, object.metadata.namespace ?? '', object.metadata.name), stored)
    tell(kind, { type, object: stored })
    return structuredClone(stored)
  }
  function tell(kind: Kind, event: WatchEvent<KubeObject>): void {
    for (const watcher of watchers) if (watcher.plural === kind.plural) watcher.push(event)
  }
  function find<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): T {
    // Objects are stored under their kind's name.
    const object = objects.get(keyOf(kind, namespace, name)) as T | undefined
    if (!object) throw notFound(refusedKind(kind), name)
    return object
  }

  return {
    async get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string) {
      return structuredClone(objects.get(keyOf(kind, namespace, name))) as T | undefined
    },
    async list<T extends KubeObject>(kind: Kind<T>) {
      if (broken) throw new Error('the store is broken')
      const items = [...objects]
        .filter(([key]) => key.startsWith(`${kind.plural}/`))
        .map(([, object]) => object)
      return { items: structuredClone(items) as T[], resourceVersion: String(version) }
    },
    async *watch<T extends KubeObject>(
      kind: Kind<T>,
      _from: string,
      _selection: object,
      signal: AbortSignal,
    ) {
      const queue: (WatchEvent<KubeObject> | Error)[] = []
      let wake = () => {}
      const watcher = {
        plural: kind.plural,
        push(event: WatchEvent<KubeObject> | Error) {
          queue.push(event)
          wake()
        },
      }
      const abort = () => wake()
      signal.addEventListener('abort', abort)
      watchers.add(watcher)
      try {
        while (!signal.aborted) {
          const event = queue.shift()
          if (event instanceof Error) throw event
          if (event) yield structuredClone(event) as WatchEvent<T>
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        watchers.delete(watcher)
        signal.removeEventListener('abort', abort)
      }
    },
    async create<T extends KubeObject>(kind: Kind<T>, draft: Draft<T>) {
      const { namespace = '', name = '' } = draft.metadata
      if (objects.has(keyOf(kind, namespace, name))) throw alreadyExists(refusedKind(kind), name)
      const metadata = {
        uid: crypto.randomUUID(),
        creationTimestamp: '2030-01-01T00:00:00Z',
        ...draft.metadata,
      }
      // A draft with its metadata filled in is an object.
      return put(kind, { ...draft, apiVersion: apiVersionOf(kind), metadata } as unknown as T, 'ADDED')
    },
    async update(kind, object) {
      find(kind, object.metadata.namespace ?? '', object.metadata.name)
      return put(kind, object, 'MODIFIED')
    },
    async patch(kind, namespace, name, patch) {
      const object = find(kind, namespace, name)
      if (patch.type !== 'merge') throw new Error('only merge patches')
      const { metadata = {}, ...rest } = patch.body as { metadata?: object }
      const wanted = { ...object, ...rest, metadata: { ...object.metadata, ...metadata } }
      if (wanted.metadata.resourceVersion !== object.metadata.resourceVersion) {
        throw conflict(refusedKind(kind), name, 'the object has been modified')
      }
      return put(kind, wanted, 'MODIFIED')
    },
    async delete(kind, namespace, name) {
      const object = find(kind, namespace, name)
      objects.delete(keyOf(kind, namespace, name))
      tell(kind, { type: 'DELETED', object })
    },
    breakDown() {
      broken = true
      for (const watcher of watchers) watcher.push(expired('too old'))
    },
    mend() {
      broken = false
    },
  }
}
