import type { OwnerReference } from '../kinds/meta.ts'
import type { ObjectKey } from '../store/sqlite/rows.ts'

/** An object that names owners. */
export interface Dependent {
  key: ObjectKey
  owners: OwnerReference[]
}

/** The text of a key, for maps and queues. */
export function formatKey({ kind, namespace, name }: ObjectKey): string {
  return `${kind}/${namespace}/${name}`
}

/** The key that `formatKey` made this text of; no part of a key holds a slash. */
export function parseKey(text: string): ObjectKey {
  const [kind = '', namespace = '', name = ''] = text.split('/')
  return { kind, namespace, name }
}

/** Who depends on whom, by the UID of the owner. */
export class OwnerIndex {
  readonly #byOwner = new Map<string, Map<string, Dependent>>()
  readonly #dependents = new Map<string, Dependent>()

  /** Notes what owners an object names now. */
  set(dependent: Dependent): void {
    const text = formatKey(dependent.key)
    this.delete(dependent.key)
    if (dependent.owners.length === 0) return
    this.#dependents.set(text, dependent)
    for (const { uid } of dependent.owners) {
      const siblings = this.#byOwner.get(uid) ?? new Map<string, Dependent>()
      this.#byOwner.set(uid, siblings.set(text, dependent))
    }
  }

  /** Forgets an object; answers what it was known as. */
  delete(key: ObjectKey): Dependent | undefined {
    const text = formatKey(key)
    const dependent = this.#dependents.get(text)
    this.#dependents.delete(text)
    for (const { uid } of dependent?.owners ?? []) {
      const siblings = this.#byOwner.get(uid)
      siblings?.delete(text)
      if (siblings?.size === 0) this.#byOwner.delete(uid)
    }
    return dependent
  }

  get(key: ObjectKey): Dependent | undefined {
    return this.#dependents.get(formatKey(key))
  }

  dependentsOf(uid: string): Dependent[] {
    return [...(this.#byOwner.get(uid)?.values() ?? [])]
  }

  all(): Dependent[] {
    return [...this.#dependents.values()]
  }
}
