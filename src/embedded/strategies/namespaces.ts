import { isRecord } from '../../lib/json.ts'
import { checkDns1123Label } from '../../lib/names.ts'
import type { AnyObject } from '../parts.ts'
import type { Strategy } from './strategy.ts'

/** Namespaces that are always there. */
export const SYSTEM_NAMESPACES: readonly string[] = [
  'default',
  'kube-node-lease',
  'kube-public',
  'kube-system',
]

/** Holds a namespace until its contents are gone. */
export const NAMESPACE_FINALIZER = 'kubernetes'

const NAME_LABEL = 'kubernetes.io/metadata.name'

function labelWithName(object: AnyObject): void {
  const { metadata } = object
  metadata.labels = { ...metadata.labels, [NAME_LABEL]: metadata.name }
}

export const namespaceStrategy: Strategy = {
  checkName: checkDns1123Label,
  prepareCreate(object) {
    object.spec = { finalizers: [NAMESPACE_FINALIZER] }
    object.status = { phase: 'Active' }
    labelWithName(object)
  },
  prepareUpdate(object, current) {
    // The finalizers in `spec` are removed by the namespace controller alone.
    object.spec = current.spec
    labelWithName(object)
  },
  selectableFields: {
    name: ({ metadata }) => metadata.name,
    'status.phase': ({ status }) => (isRecord(status) ? status.phase : undefined),
  },
  refuseDelete(name) {
    return SYSTEM_NAMESPACES.includes(name) ? 'this namespace may not be deleted' : undefined
  },
  holdDelete(object) {
    const { spec, status } = object
    object.status = { ...(isRecord(status) && status), phase: 'Terminating' }
    return isRecord(spec) && Array.isArray(spec.finalizers) && spec.finalizers.length > 0
  },
}
