/**
 * How lists of the built-in kinds are merged by a strategic merge patch.
 * Source: `x-kubernetes-patch-merge-key` and `x-kubernetes-patch-strategy` in the OpenAPI document of Kubernetes.
 */
import type { Kind } from '../../kinds/kind.ts'
import type { MergeSchema } from '../../lib/strategic-merge.ts'

const keyed = (mergeKey: string): MergeSchema => ({ mergeKey })
const set: MergeSchema = { isSet: true }

const METADATA: MergeSchema = { members: { ownerReferences: keyed('uid'), finalizers: set } }
const CONDITIONS = keyed('type')

const BY_KIND: Record<string, Record<string, MergeSchema>> = {
  Namespace: { status: { members: { conditions: CONDITIONS } } },
  Node: {
    // `taints` has no merge key: a patch replaces the list.
    spec: { members: { podCIDRs: set } },
    status: { members: { conditions: CONDITIONS, addresses: keyed('type') } },
  },
  ServiceAccount: { secrets: keyed('name'), imagePullSecrets: keyed('name') },
  PersistentVolumeClaim: { status: { members: { conditions: CONDITIONS } } },
}

/** What is known about the lists of a kind's objects. */
export function mergeSchemaOf({ kind }: Pick<Kind, 'kind'>): MergeSchema {
  return { members: { metadata: METADATA, ...BY_KIND[kind] } }
}
