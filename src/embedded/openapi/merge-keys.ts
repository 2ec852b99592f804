import type { Kind } from '../../kinds/kind.ts'
import { nameOfRef, type Definitions, type Schema } from '../../lib/schema/schema.ts'
import type { MergeSchema } from '../../lib/strategic-merge.ts'
import { mergeSchemaOf } from '../objects/merge-keys.ts'

/**
 * Says in the schemas how lists are merged by strategic merge patches: kubectl makes its patches by it. The
 * definitions are changed.
 */
export function markMergeKeys(kind: Kind, definitions: Definitions): void {
  const schema = definitions[kind.schema]
  if (schema) mark(schema, mergeSchemaOf(kind), definitions)
}

function mark(schema: Schema, { members = {} }: MergeSchema, definitions: Definitions): void {
  const name = nameOfRef(schema)
  const target = name === undefined ? schema : definitions[name]
  for (const [member, merge] of Object.entries(members)) {
    const property = target?.properties?.[member]
    if (!property) continue
    if (merge.mergeKey) property['x-kubernetes-patch-merge-key'] = merge.mergeKey
    if (merge.mergeKey || merge.isSet) property['x-kubernetes-patch-strategy'] = 'merge'
    mark(property, merge, definitions)
    if (merge.element && property.items) mark(property.items, merge.element, definitions)
  }
}
