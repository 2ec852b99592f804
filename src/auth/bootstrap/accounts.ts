/** The accounts that virtgate's own parts act as, and what they need. Source: contract, section 8.3, made smaller. */
import type { PolicyRule, ServiceAccount, Subject } from '../../kinds/core.ts'
import type { Draft, KubeObject } from '../../kinds/meta.ts'
import { INSTALL_NAMESPACE, kubeVirtAccount, type ServiceAccountName } from '../../kinds/service-account.ts'
import { NODE_LEASE_NAMESPACE } from '../../kinds/worker-lease.ts'
import { boundRole, clusterRole, clusterRoleBinding, READ, rule, WRITE } from './build.ts'
import { subresourceRules, type SubresourceGrant } from './subresource-grants.ts'

/** The API server of the subresources. */
export const API_SERVER_ACCOUNT = kubeVirtAccount('apiserver')
/** The controllers. */
export const CONTROLLER_ACCOUNT = kubeVirtAccount('controller')
/** The workers. It is bound to nothing: a worker asks the Kubernetes API for nothing (security.md, E4). */
export const HANDLER_ACCOUNT = kubeVirtAccount('handler')

const LABELS = { 'kubevirt.io': '' }

/** Groups whose objects describe VMs without being one. */
const DESCRIPTIONS: readonly [group: string, resources: string[]][] = [
  ['snapshot.kubevirt.io', ['*']],
  ['backup.kubevirt.io', ['*']],
  ['instancetype.kubevirt.io', ['*']],
  ['migrations.kubevirt.io', ['migrationpolicies']],
]

const readDescriptions = () => DESCRIPTIONS.map(([group, resources]) => rule(group, resources, READ))

const LEASES: readonly [group: string, resources: string[]] = ['coordination.k8s.io', ['leases']]

/** What the API server needs in the namespace of the installation: where the workers are. */
export function apiServerOwnRules(): PolicyRule[] {
  return [rule(...LEASES, READ)]
}

/** What the controllers need there: who leads, and where the workers are. */
export function controllerOwnRules(): PolicyRule[] {
  return [rule(...LEASES, [...READ, 'create', 'update', 'patch'])]
}

/** What the API server needs everywhere: it reads, changes VMs by patches, and leaves Events. */
export function apiServerRules(): PolicyRule[] {
  return [
    rule('', ['namespaces', 'nodes', 'configmaps'], ['get']),
    rule('', ['persistentvolumeclaims', 'pods'], ['get', 'list']),
    rule('', ['resourcequotas', 'limitranges'], READ),
    rule('', ['resourcequotas/status'], ['update']),
    rule('', ['events'], ['create', 'patch']),
    rule('kubevirt.io', ['virtualmachines', 'virtualmachineinstances'], [...READ, 'patch']),
    rule('kubevirt.io', ['virtualmachines/status'], ['patch']),
    rule('kubevirt.io', ['virtualmachineinstancemigrations'], [...READ, 'create']),
    rule('kubevirt.io', ['kubevirts', 'virtualmachineinstancepresets'], READ),
    rule('cdi.kubevirt.io', ['datavolumes', 'datasources'], READ),
    rule('cdi.kubevirt.io', ['cdiconfigs'], ['get']),
    rule('snapshot.storage.k8s.io', ['volumesnapshots'], ['get']),
    rule('apps', ['controllerrevisions'], ['get', 'list', 'create']),
    ...readDescriptions(),
  ]
}

/** What the controllers need everywhere. Secrets by name alone: those that a guest's spec refers to. */
export function controllerRules(grants: readonly SubresourceGrant[]): PolicyRule[] {
  return [
    rule('', ['secrets'], ['get']),
    rule('', ['namespaces', 'configmaps', 'persistentvolumeclaims', 'resourcequotas'], READ),
    rule('', ['resourcequotas/status'], ['update']),
    rule('', ['pods'], ['list']),
    // Which nodes reach a volume.
    rule('', ['persistentvolumes'], ['get']),
    // The annotation that names a memory dump.
    rule('', ['persistentvolumeclaims'], ['patch']),
    rule('', ['events'], ['create', 'patch']),
    rule('', ['nodes', 'nodes/status'], [...READ, 'create', 'update', 'patch']),
    rule('scheduling.k8s.io', ['priorityclasses'], READ),
    // Whose tokens workers enrol with, and read metrics.
    rule('authentication.k8s.io', ['tokenreviews'], ['create']),
    // Whether the service account of a VM may have what the VM names in another namespace; who may read metrics.
    rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
    rule('apps', ['controllerrevisions'], WRITE),
    rule('kubevirt.io', ['*'], WRITE),
    rule('cdi.kubevirt.io', ['datavolumes'], WRITE),
    // CDI asks who makes a DataVolume; whether the VM may, we have asked.
    rule('cdi.kubevirt.io', ['datavolumes/source'], ['create']),
    rule('cdi.kubevirt.io', ['datasources'], ['get']),
    rule('snapshot.storage.k8s.io', ['volumesnapshots'], ['get']),
    rule('k8s.cni.cncf.io', ['network-attachment-definitions'], READ),
    ...['pool', 'clone', 'export'].map((name) => rule(`${name}.kubevirt.io`, ['*'], WRITE)),
    ...readDescriptions(),
    ...subresourceRules('controller', grants),
  ]
}

/** The accounts in `namespace`, their roles and what binds them. */
export function systemAccounts(
  grants: readonly SubresourceGrant[],
  namespace = INSTALL_NAMESPACE,
): Draft<KubeObject>[] {
  const inNamespace = ({ name }: ServiceAccountName): ServiceAccountName => ({ namespace, name })
  const [server, controller] = [inNamespace(API_SERVER_ACCOUNT), inNamespace(CONTROLLER_ACCOUNT)]
  return [
    ...[server, controller, inNamespace(HANDLER_ACCOUNT)].map(serviceAccount),
    clusterRole(server.name, apiServerRules(), LABELS),
    clusterRole(controller.name, controllerRules(grants), LABELS),
    clusterRoleBinding(server.name, server.name, [accountSubject(server)], LABELS),
    clusterRoleBinding(
      `${server.name}-auth-delegator`,
      'system:auth-delegator',
      [accountSubject(server)],
      LABELS,
    ),
    clusterRoleBinding(controller.name, controller.name, [accountSubject(controller)], LABELS),
    ...boundRole(server, apiServerOwnRules(), accountSubject(server), LABELS),
    ...boundRole(controller, controllerOwnRules(), accountSubject(controller), LABELS),
  ]
}

/** What the controllers in `namespace` need besides where Node objects are theirs: the Leases by which Kubernetes knows that nodes live. */
export function nodeLeaseKeeper(namespace = INSTALL_NAMESPACE): Draft<KubeObject>[] {
  const { name } = CONTROLLER_ACCOUNT
  const rules = [rule(...LEASES, ['get', 'create', 'patch'])]
  return boundRole(
    { namespace: NODE_LEASE_NAMESPACE, name },
    rules,
    accountSubject({ namespace, name }),
    LABELS,
  )
}

function serviceAccount({ namespace, name }: ServiceAccountName): Draft<ServiceAccount> {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name, labels: LABELS } }
}

/** A service account as the subject of a binding. */
export function accountSubject({ namespace, name }: ServiceAccountName): Subject {
  return { kind: 'ServiceAccount', namespace, name }
}
