/**
 * What is wrong with a role or a binding, beyond its schema.
 * Source: `pkg/apis/rbac/validation/validation.go` of Kubernetes.
 */
import { forbiddenValue, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ClusterRoleBinding, PolicyRule, RoleBinding, Subject } from '../../kinds/core.ts'

const RBAC_GROUP = 'rbac.authorization.k8s.io'

/** Checks the rules of a role; `namespaced` for a Role, which grants no paths. */
export function* checkRules(rules: readonly PolicyRule[], namespaced: boolean): Iterable<Cause> {
  const at = new FieldPath('rules')
  for (const [i, rule] of rules.entries()) yield* checkRule(rule, at.index(i), namespaced)
}

function* checkRule(rule: PolicyRule, at: FieldPath, namespaced: boolean): Iterable<Cause> {
  // Fields may be absent or null in what clients send, whatever the type says.
  if (!rule.verbs?.length) yield requiredValue(at.child('verbs'), 'verbs must contain at least one value')
  if (rule.nonResourceURLs?.length) {
    const paths = at.child('nonResourceURLs')
    if (namespaced) yield invalidValue(paths, 'namespaced rules cannot apply to non-resource URLs')
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
      yield invalidValue(paths, 'rules cannot apply to both regular resources and non-resource URLs')
    }
    return
  }
  if (!rule.apiGroups?.length) {
    yield requiredValue(at.child('apiGroups'), 'resource rules must supply at least one api group')
  }
  if (!rule.resources?.length) {
    yield requiredValue(at.child('resources'), 'resource rules must supply at least one resource')
  }
}

/** Checks a binding; `old` is what it replaces. */
export function* checkBinding(
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding | undefined,
  namespaced: boolean,
): Iterable<Cause> {
  const at = new FieldPath('roleRef')
  const { roleRef, subjects } = binding
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole']
  if (!roleRef?.name) yield requiredValue(at.child('name'), 'name the role that is granted')
  if (roleRef && !kinds.includes(roleRef.kind)) {
    yield unsupportedValue(
      at.child('kind'),
      `Unsupported value: "${roleRef.kind}": use ${kinds.join(' or ')}`,
    )
  }
  if (roleRef?.apiGroup && roleRef.apiGroup !== RBAC_GROUP) {
    yield unsupportedValue(
      at.child('apiGroup'),
      `Unsupported value: "${roleRef.apiGroup}": use ${RBAC_GROUP}`,
    )
  }
  if (old && !isSameRole(old, binding)) {
    yield invalidValue(at, 'cannot change roleRef: delete the binding and create another')
  }
  const list = new FieldPath('subjects')
  for (const [i, subject] of (subjects ?? []).entries())
    yield* checkSubject(subject, list.index(i), namespaced)
}

function isSameRole(
  left: RoleBinding | ClusterRoleBinding,
  right: RoleBinding | ClusterRoleBinding,
): boolean {
  const { kind, name } = right.roleRef ?? {}
  return isSameJson({ kind: left.roleRef.kind, name: left.roleRef.name }, { kind, name })
}

function* checkSubject(subject: Subject, at: FieldPath, namespaced: boolean): Iterable<Cause> {
  if (!subject.name) yield requiredValue(at.child('name'), 'name who is granted the role')
  const isAccount = subject.kind === 'ServiceAccount'
  if (!isAccount && subject.kind !== 'User' && subject.kind !== 'Group') {
    const found = JSON.stringify(subject.kind ?? '')
    yield unsupportedValue(
      at.child('kind'),
      `Unsupported value: ${found}: use "ServiceAccount", "User" or "Group"`,
    )
    return
  }
  const group = isAccount ? '' : RBAC_GROUP
  if (subject.apiGroup && subject.apiGroup !== group) {
    yield unsupportedValue(at.child('apiGroup'), `Unsupported value: "${subject.apiGroup}": use "${group}"`)
  }
  if (isAccount && !namespaced && !subject.namespace) {
    yield requiredValue(at.child('namespace'), 'name the namespace of the service account')
  }
  if (!isAccount && subject.namespace) {
    yield forbiddenValue(at.child('namespace'), `a ${subject.kind} belongs to no namespace`)
  }
}
