import type { Kind } from '../kinds/kind.ts'
import { NotLeading, type Leadership } from '../lib/leadership.ts'
import type { Store } from './store.ts'

/** The store, which writes only while we lead: each write looks at the clock, as timers may be late. Throws `NotLeading`. */
export function openLeadingStore(store: Store, leadership: Leadership): Store {
  function assertLeading(verb: string, { kind }: Kind, name: string | undefined): void {
    if (leadership.epoch() === undefined) throw new NotLeading(`${verb} ${kind} ${name ?? ''}`)
  }
  return {
    get: (kind, namespace, name) => store.get(kind, namespace, name),
    list: (kind, selection) => store.list(kind, selection),
    watch: (kind, version, selection, signal) => store.watch(kind, version, selection, signal),
    async create(kind, object, options) {
      assertLeading('create', kind, object.metadata.name)
      return store.create(kind, object, options)
    },
    async update(kind, object, options) {
      assertLeading('update', kind, object.metadata.name)
      return store.update(kind, object, options)
    },
    async patch(kind, namespace, name, patch, options) {
      assertLeading('patch', kind, name)
      return store.patch(kind, namespace, name, patch, options)
    },
    async delete(kind, namespace, name, options) {
      assertLeading('delete', kind, name)
      return store.delete(kind, namespace, name, options)
    },
  }
}
