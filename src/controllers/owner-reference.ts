import { apiVersionOf, type Kind } from '../kinds/kind.ts'
import type { KubeObject, OwnerReference } from '../kinds/meta.ts'

/** What makes an object the controller of another one. */
export function ownerReferenceTo(kind: Kind, { metadata }: KubeObject): OwnerReference {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}
