/** What a user has been granted, from roles and bindings. */
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from '../../kinds/core.ts'
import { serviceUnavailable } from '../../lib/errors.ts'
import type { User } from '../access.ts'
import { serviceAccountUserName } from '../../kinds/service-account.ts'

/** Roles and bindings as they are now. */
export interface RbacSource {
  role(namespace: string, name: string): Role | undefined
  clusterRole(name: string): ClusterRole | undefined
  roleBindings(namespace: string): Iterable<RoleBinding>
  clusterRoleBindings(): Iterable<ClusterRoleBinding>
  /** Throws 503 where these may be outdated, so that a right withdrawn is not granted for long. */
  assertCurrent(): void
}

/** A binding that names the user, and the role it gives. */
export interface Grant {
  binding: RoleBinding | ClusterRoleBinding
  subject: Subject
  /** `undefined` where the binding names a role that does not exist. */
  rules: readonly PolicyRule[] | undefined
}

/** All that was granted to the user: first everywhere, then in `namespace` where it is not ''. */
export function* grantsOf(
  source: RbacSource,
  user: User,
  namespace: string,
): Generator<Grant, void, undefined> {
  for (const binding of source.clusterRoleBindings()) {
    const subject = findSubject(binding.subjects, user, '')
    if (subject) yield { binding, subject, rules: rulesOf(source, binding.roleRef, '') }
  }
  if (namespace === '') return
  for (const binding of source.roleBindings(namespace)) {
    const subject = findSubject(binding.subjects, user, namespace)
    if (subject) yield { binding, subject, rules: rulesOf(source, binding.roleRef, namespace) }
  }
}

/** The rules of the role that is referred to; `undefined` where there is no such role. */
export function rulesOf(
  source: RbacSource,
  ref: RoleRef,
  namespace: string,
): readonly PolicyRule[] | undefined {
  const role = ref.kind === 'Role' ? source.role(namespace, ref.name) : source.clusterRole(ref.name)
  return role && (role.rules ?? [])
}

function findSubject(
  subjects: readonly Subject[] | undefined,
  user: User,
  namespace: string,
): Subject | undefined {
  return subjects?.find((subject) => isUser(subject, user, namespace))
}

function isUser(subject: Subject, user: User, bindingNamespace: string): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.name === user.name
    case 'Group':
      return user.groups.includes(subject.name)
    case 'ServiceAccount': {
      const namespace = subject.namespace || bindingNamespace
      return namespace !== '' && user.name === serviceAccountUserName({ namespace, name: subject.name })
    }
    default:
      // Stored objects may hold what the type does not know; it names nobody.
      return false
  }
}

/** A source whose roles come later: until then nobody but `system:masters` may do anything. */
export interface LateRbacSource extends RbacSource {
  /** From now on, `source` answers. */
  set(source: RbacSource): void
}

/** For admission, which has to stand before the objects can be read that it decides by. */
export function lateRbacSource(): LateRbacSource {
  let source: RbacSource | undefined
  const ready = (): RbacSource => {
    if (source) return source
    throw serviceUnavailable('access cannot be decided yet: the server is starting', 1)
  }
  return {
    set: (later) => void (source = later),
    role: (namespace, name) => ready().role(namespace, name),
    clusterRole: (name) => ready().clusterRole(name),
    roleBindings: (namespace) => ready().roleBindings(namespace),
    clusterRoleBindings: () => ready().clusterRoleBindings(),
    assertCurrent: () => ready().assertCurrent(),
  }
}
