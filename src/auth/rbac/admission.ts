import { forbidden, invalid, notFound } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from '../../kinds/core.ts'
import { refusedKind, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES } from '../../kinds/table.ts'
import type { Authorizer, User } from '../access.ts'
import { MASTERS } from '../names.ts'
import { findEscalation, formatRules, FULL_AUTHORITY } from './escalation.ts'
import { rulesOf, type RbacSource } from './source.ts'
import { checkBinding, checkRules } from './validate.ts'

/**
 * Called for each create and update of any object before it is stored; `old` is what it replaces. Throws 422 for a
 * malformed role or binding and 403 where the user would grant what they do not hold. Other kinds pass.
 */
export type RbacAdmission = (user: User, kind: Kind, object: KubeObject, old?: KubeObject) => Promise<void>

/**
 * Keeps users from raising themselves: who writes a role needs all its rights or the verb `escalate` on it; who writes
 * a binding needs all rights of the role or the verb `bind` on it.
 * Source: "Privilege escalation prevention and bootstrapping" in "Using RBAC Authorization".
 */
export function buildRbacAdmission(source: RbacSource, authorizer: Authorizer): RbacAdmission {
  const guard = new Guard(source, authorizer)
  return async (user, kind, object, old) => {
    if (kind.group !== ROLES.group) return
    // The kind says which type the object has: the schema was checked before.
    switch (kind.plural) {
      case ROLES.plural:
        return guard.admitRole(user, object as Role, old as Role | undefined)
      case CLUSTER_ROLES.plural:
        return guard.admitClusterRole(user, object, old)
      case ROLE_BINDINGS.plural:
        return guard.admitBinding(user, ROLE_BINDINGS, object as RoleBinding, old as RoleBinding | undefined)
      case CLUSTER_ROLE_BINDINGS.plural: {
        const before = old as ClusterRoleBinding | undefined
        return guard.admitBinding(user, CLUSTER_ROLE_BINDINGS, object as ClusterRoleBinding, before)
      }
    }
  }
}

class Guard {
  readonly #source: RbacSource
  readonly #authorizer: Authorizer

  constructor(source: RbacSource, authorizer: Authorizer) {
    this.#source = source
    this.#authorizer = authorizer
  }

  async admitRole(user: User, role: Role, old: Role | undefined): Promise<void> {
    refuseWrong(ROLES, role, checkRules(role.rules ?? [], true))
    if (old && isSameJson(old.rules ?? [], role.rules ?? [])) return
    if (await this.#may(user, 'escalate', ROLES, role.metadata.name, role.metadata.namespace)) return
    this.#refuseEscalation(user, ROLES, role, role.rules ?? [])
  }

  async admitClusterRole(user: User, role: ClusterRole, old: ClusterRole | undefined): Promise<void> {
    refuseWrong(CLUSTER_ROLES, role, checkRules(role.rules ?? [], false))
    if (old && isSameJson(contentOf(old), contentOf(role))) return
    if (await this.#may(user, 'escalate', CLUSTER_ROLES, role.metadata.name)) return
    const gathers = role.aggregationRule ?? old?.aggregationRule
    this.#refuseEscalation(user, CLUSTER_ROLES, role, gathers ? FULL_AUTHORITY : (role.rules ?? []))
  }

  async admitBinding<T extends RoleBinding | ClusterRoleBinding>(
    user: User,
    kind: Kind<T>,
    binding: T,
    old: T | undefined,
  ): Promise<void> {
    refuseWrong(kind, binding, checkBinding(binding, old, kind.namespaced))
    if (old && isSameJson(old.subjects ?? [], binding.subjects ?? [])) return
    const { roleRef } = binding
    const namespace = binding.metadata.namespace
    const roleKind = roleRef.kind === 'Role' ? ROLES : CLUSTER_ROLES
    if (await this.#may(user, 'bind', roleKind, roleRef.name, namespace)) return
    const rules = rulesOf(this.#source, roleRef, namespace ?? '')
    if (!rules) throw notFound(refusedKind(roleKind), roleRef.name)
    this.#refuseEscalation(user, kind, binding, rules)
  }

  async #may(user: User, verb: string, kind: Kind, name: string, namespace?: string): Promise<boolean> {
    if (user.groups.includes(MASTERS)) return true
    const { group, version, plural: resource } = kind
    const where = namespace === undefined ? {} : { namespace }
    const asked = { kind: 'resource' as const, verb, group, version, resource, name, ...where }
    return (await this.#authorizer.review(user, asked)).allowed
  }

  #refuseEscalation(user: User, kind: Kind, object: KubeObject, rules: readonly PolicyRule[]): void {
    this.#source.assertCurrent()
    const missing = findEscalation(this.#source, user, object.metadata.namespace ?? '', rules)
    if (missing.length === 0) return
    const who = `user ${JSON.stringify(user.name)} (groups=${JSON.stringify(user.groups)})`
    const what = `is attempting to grant RBAC permissions not currently held:\n${formatRules(missing)}`
    throw forbidden(refusedKind(kind), object.metadata.name, `${who} ${what}`)
  }
}

function contentOf({ rules, aggregationRule }: ClusterRole): object {
  return { rules: rules ?? [], aggregationRule: aggregationRule ?? null }
}

function refuseWrong(kind: Kind, object: KubeObject, causes: ReturnType<typeof checkRules>): void {
  const found = [...causes]
  if (found.length > 0) throw invalid(refusedKind(kind), object.metadata.name, found)
}
