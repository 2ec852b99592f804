import type { MayUse } from '../kinds/foreign-use.ts'
import type { Getter } from './find.ts'

/**
 * Reads objects as they are, those of other namespaces than `home` only where `mayUse` lets it: what it throws is thrown,
 * whether there is such an object or not. Source: security.md, B7 and K4.
 */
export function guardReader(reader: Getter, home: string, mayUse: MayUse): Getter {
  return {
    async get(kind, namespace, name) {
      if (kind.namespaced && namespace !== home) await mayUse({ purpose: 'read', kind, namespace, name })
      return reader.get(kind, namespace, name)
    },
  }
}
