import type { Attributes, Authorizer, Decision, User } from '../access.ts'
import { MASTERS } from '../names.ts'
import { ruleAllows } from './rules.ts'
import { grantsOf, type Grant, type RbacSource } from './source.ts'

/**
 * Decides by roles and bindings; members of `system:masters` may do everything. The reasons are in the words of
 * kube-apiserver. Throws 503 where the roles may be outdated.
 */
export function buildRbacAuthorizer(source: RbacSource): Authorizer {
  return {
    async review(user, attributes) {
      if (user.groups.includes(MASTERS)) return { allowed: true, reason: '' }
      source.assertCurrent()
      return decide(source, user, attributes)
    },
  }
}

function decide(source: RbacSource, user: User, attributes: Attributes): Decision {
  const missing: string[] = []
  const namespace = attributes.kind === 'resource' ? (attributes.namespace ?? '') : ''
  for (const grant of grantsOf(source, user, namespace)) {
    if (!grant.rules) missing.push(describeMissing(grant))
    else if (grant.rules.some((rule) => ruleAllows(rule, attributes))) {
      return { allowed: true, reason: `RBAC: allowed by ${describe(grant)}` }
    }
  }
  return { allowed: false, reason: missing.length > 0 ? `RBAC: ${listed(missing)}` : '' }
}

/** Source: `roleBindingDescriber` in `pkg/registry/rbac/validation/rule.go` of Kubernetes. */
function describe({ binding, subject }: Grant): string {
  const { namespace, name } = binding.metadata
  const kind = namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding'
  const where = namespace === undefined ? name : `${name}/${namespace}`
  const home = subject.namespace || (namespace ?? '')
  const who = subject.kind === 'ServiceAccount' ? `${subject.name}/${home}` : subject.name
  const { roleRef } = binding
  return `${kind} "${where}" of ${roleRef.kind} "${roleRef.name}" to ${subject.kind} "${who}"`
}

function describeMissing({ binding: { roleRef } }: Grant): string {
  return `${roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io "${roleRef.name}" not found`
}

function listed(texts: string[]): string {
  const unique = [...new Set(texts)]
  return unique.length > 1 ? `[${unique.join(', ')}]` : unique.join('')
}
