import type { Kind } from './kind.ts'
import type { KubeObject } from './meta.ts'

interface Term {
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
  matchFields?: { key: string; operator: string; values?: string[] }[]
}

/** A volume of a cluster, as far as it is read: which nodes reach it. */
export interface PersistentVolume extends KubeObject {
  spec?: { nodeAffinity?: { required?: { nodeSelectorTerms: Term[] } } }
}

/** Read in clusters alone; embedded mode has none, and does not serve the kind. */
export const PERSISTENT_VOLUMES: Kind<PersistentVolume> = {
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  singular: 'persistentvolume',
  namespaced: false,
  hasStatus: false,
  builtIn: true,
  schema: 'io.k8s.api.core.v1.PersistentVolume',
  columns: [],
}
