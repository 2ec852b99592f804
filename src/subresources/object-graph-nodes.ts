/** Nodes of the graph of objects that a VM depends on. Source: contract 3.13, table of references. */
import type { Kind } from '../kinds/kind.ts'
import {
  CLUSTER_INSTANCETYPES,
  CLUSTER_PREFERENCES,
  CONFIGMAPS,
  CONTROLLER_REVISIONS,
  DATA_VOLUMES,
  INSTANCETYPES,
  NETWORK_ATTACHMENTS,
  PODS,
  PREFERENCES,
  PVCS,
  SECRETS,
  SERVICE_ACCOUNTS,
  VMIS,
  VMS,
} from '../kinds/table.ts'

/** What an object is needed for. */
type Dependency = 'compute' | 'config' | 'storage' | 'network'

/** An object, and those that it depends on. */
export interface GraphNode {
  objectReference: { apiGroup: string; kind: string; name: string; namespace: string }
  labels: { 'kubevirt.io/dependency-type': Dependency }
  /** A VM can do without it. */
  optional?: true
  children?: GraphNode[]
}

const DEPENDENCIES = new Map<Kind, Dependency>([
  [VMS, 'compute'],
  [VMIS, 'compute'],
  [PODS, 'compute'],
  [INSTANCETYPES, 'config'],
  [CLUSTER_INSTANCETYPES, 'config'],
  [PREFERENCES, 'config'],
  [CLUSTER_PREFERENCES, 'config'],
  [CONTROLLER_REVISIONS, 'config'],
  [SECRETS, 'config'],
  [CONFIGMAPS, 'config'],
  [SERVICE_ACCOUNTS, 'config'],
  [DATA_VOLUMES, 'storage'],
  [PVCS, 'storage'],
  [NETWORK_ATTACHMENTS, 'network'],
])

/** What a VM was made with, and what only its nodes have: a backup can leave them out. */
const OPTIONAL = new Set<Kind>([
  INSTANCETYPES,
  CLUSTER_INSTANCETYPES,
  PREFERENCES,
  CLUSTER_PREFERENCES,
  NETWORK_ATTACHMENTS,
])

/** The node of an object. */
export function graphNode(
  kind: Kind,
  namespace: string,
  name: string,
  children: GraphNode[] = [],
): GraphNode {
  return {
    objectReference: {
      apiGroup: kind.group,
      kind: kind.kind,
      name,
      namespace: kind.namespaced ? namespace : '',
    },
    labels: { 'kubevirt.io/dependency-type': DEPENDENCIES.get(kind) ?? 'config' },
    ...(OPTIONAL.has(kind) && { optional: true as const }),
    ...(children.length > 0 && { children }),
  }
}
