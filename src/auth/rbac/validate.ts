/**
 * What is wrong with a role or a binding, beyond its schema.
 * Source: `pkg/apis/rbac/validation/validation.go` of Kubernetes.
 */
import { addAll, forbiddenValue, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ClusterRoleBinding, PolicyRule, RoleBinding, Subject } from '../../kinds/core.ts'

const RBAC_GROUP = 'rbac.authorization.k8s.io'

/** Checks the rules of a role; `namespaced` for a Role, which grants no paths. */
export function checkRules(rules: readonly PolicyRule[], namespaced: boolean): Cause[] {
  const at = new FieldPath('rules')
  const causes: Cause[] = []
  for (const [i, rule] of rules.entries()) addAll(causes, checkRule(rule, at.index(i), namespaced))
  return causes
}

function checkRule(rule: PolicyRule, at: FieldPath, namespaced: boolean): Cause[] {
  // Fields may be absent or null in what clients send, whatever the type says.
  const causes: Cause[] = []
  if (!rule.verbs?.length)
    causes.push(requiredValue(at.child('verbs'), 'verbs must contain at least one value'))
  if (rule.nonResourceURLs?.length) {
    const paths = at.child('nonResourceURLs')
    if (namespaced) causes.push(invalidValue(paths, 'namespaced rules cannot apply to non-resource URLs'))
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
      causes.push(invalidValue(paths, 'rules cannot apply to both regular resources and non-resource URLs'))
    }
    return causes
  }
  if (!rule.apiGroups?.length) {
    causes.push(requiredValue(at.child('apiGroups'), 'resource rules must supply at least one api group'))
  }
  if (!rule.resources?.length) {
    causes.push(requiredValue(at.child('resources'), 'resource rules must supply at least one resource'))
  }
  return causes
}

/** Checks a binding; `old` is what it replaces. */
export function checkBinding(
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding | undefined,
  namespaced: boolean,
): Cause[] {
  const at = new FieldPath('roleRef')
  const { roleRef, subjects } = binding
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole']
  const causes: Cause[] = []
  if (!roleRef?.name) causes.push(requiredValue(at.child('name'), 'name the role that is granted'))
  if (roleRef && !kinds.includes(roleRef.kind)) {
    causes.push(
      unsupportedValue(at.child('kind'), `Unsupported value: "${roleRef.kind}": use ${kinds.join(' or ')}`),
    )
  }
  if (roleRef?.apiGroup && roleRef.apiGroup !== RBAC_GROUP) {
    causes.push(
      unsupportedValue(at.child('apiGroup'), `Unsupported value: "${roleRef.apiGroup}": use ${RBAC_GROUP}`),
    )
  }
  if (old && !isSameRole(old, binding)) {
    causes.push(invalidValue(at, 'cannot change roleRef: delete the binding and create another'))
  }
  const list = new FieldPath('subjects')
  for (const [i, subject] of (subjects ?? []).entries())
    addAll(causes, checkSubject(subject, list.index(i), namespaced))
  return causes
}

function isSameRole(
  left: RoleBinding | ClusterRoleBinding,
  right: RoleBinding | ClusterRoleBinding,
): boolean {
  const { kind, name } = right.roleRef ?? {}
  return isSameJson({ kind: left.roleRef.kind, name: left.roleRef.name }, { kind, name })
}

function checkSubject(subject: Subject, at: FieldPath, namespaced: boolean): Cause[] {
  const causes: Cause[] = []
  if (!subject.name) causes.push(requiredValue(at.child('name'), 'name who is granted the role'))
  const isAccount = subject.kind === 'ServiceAccount'
  if (!isAccount && subject.kind !== 'User' && subject.kind !== 'Group') {
    const found = JSON.stringify(subject.kind ?? '')
    causes.push(
      unsupportedValue(
        at.child('kind'),
        `Unsupported value: ${found}: use "ServiceAccount", "User" or "Group"`,
      ),
    )
    return causes
  }
  const group = isAccount ? '' : RBAC_GROUP
  if (subject.apiGroup && subject.apiGroup !== group) {
    causes.push(
      unsupportedValue(at.child('apiGroup'), `Unsupported value: "${subject.apiGroup}": use "${group}"`),
    )
  }
  if (isAccount && !namespaced && !subject.namespace) {
    causes.push(requiredValue(at.child('namespace'), 'name the namespace of the service account'))
  }
  if (!isAccount && subject.namespace) {
    causes.push(forbiddenValue(at.child('namespace'), `a ${subject.kind} belongs to no namespace`))
  }
  return causes
}
