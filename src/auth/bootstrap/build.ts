/** Short hands for objects of RBAC. */
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from '../../kinds/core.ts'
import type { Draft, ObjectMeta } from '../../kinds/meta.ts'

const RBAC = 'rbac.authorization.k8s.io'
const API_VERSION = `${RBAC}/v1`

/** Marks an object that is brought up to date at each start; people set it to `false` to keep their own changes. */
export const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate'

/** Verbs that look. */
export const READ: readonly string[] = ['get', 'list', 'watch']
/** Verbs that look and change; all but the removal of many at once. */
export const WRITE: readonly string[] = ['get', 'delete', 'create', 'update', 'patch', 'list', 'watch']
/** Every verb on objects. */
export const OWN: readonly string[] = [...WRITE, 'deletecollection']

/** Labels of Kubernetes' own roles. */
export const KUBERNETES_LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }

/** The label that brings a role's rules into another one. */
export function aggregateTo(role: 'admin' | 'edit' | 'view'): Record<string, string> {
  return { [`${RBAC}/aggregate-to-${role}`]: 'true' }
}

/** A rule on resources of one group. */
export function rule(group: string, resources: readonly string[], verbs: readonly string[]): PolicyRule {
  return { verbs: [...verbs], apiGroups: [group], resources: [...resources] }
}

function metadata(name: string, labels: Record<string, string>): Partial<ObjectMeta> {
  return { name, labels, annotations: { [AUTOUPDATE]: 'true' } }
}

/** A role with rules of its own. */
export function clusterRole(
  name: string,
  rules: PolicyRule[],
  labels: Record<string, string>,
): Draft<ClusterRole> {
  return { apiVersion: API_VERSION, kind: 'ClusterRole', metadata: metadata(name, labels), rules }
}

/** A role whose rules are gathered from those labelled `aggregate-to-<from>`. */
export function aggregatedRole(
  name: 'admin' | 'edit' | 'view',
  labels: Record<string, string>,
): Draft<ClusterRole> {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRole',
    metadata: metadata(name, labels),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregateTo(name) }] },
  }
}

/** Gives a ClusterRole to subjects everywhere. */
export function clusterRoleBinding(
  name: string,
  role: string,
  subjects: Subject[],
  labels: Record<string, string>,
): Draft<ClusterRoleBinding> {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name, labels),
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
    subjects,
  }
}

/** A role in one namespace, and the binding of the same name that gives it to a subject. */
export function boundRole(
  { namespace, name }: { namespace: string; name: string },
  rules: PolicyRule[],
  subject: Subject,
  labels: Record<string, string>,
): [Draft<Role>, Draft<RoleBinding>] {
  const inNamespace = { ...metadata(name, labels), namespace }
  const roleRef = { apiGroup: RBAC, kind: 'Role', name } as const
  return [
    { apiVersion: API_VERSION, kind: 'Role', metadata: inNamespace, rules },
    { apiVersion: API_VERSION, kind: 'RoleBinding', metadata: inNamespace, roleRef, subjects: [subject] },
  ]
}

/** A group as the subject of a binding. */
export function group(name: string): Subject {
  return { kind: 'Group', apiGroup: RBAC, name }
}
