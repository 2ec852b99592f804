/** Users and groups that Kubernetes gives a meaning to. Source: `k8s.io/apiserver/pkg/authentication/user`. */
import { AUTHENTICATED } from '../kinds/service-account.ts'
import type { User } from './access.ts'

/** Everybody who has not. */
export const UNAUTHENTICATED = 'system:unauthenticated'
/** Who nobody knows. */
export const ANONYMOUS = 'system:anonymous'
/** May do everything, whatever the roles say. */
export const MASTERS = 'system:masters'
/** The user with `system:authenticated` among the groups; unless they are nobody we know. */
export function withAuthenticatedGroup(user: User): User {
  const isSettled = user.groups.includes(AUTHENTICATED) || user.groups.includes(UNAUTHENTICATED)
  if (isSettled || user.name === ANONYMOUS) return user
  return { ...user, groups: [...user.groups, AUTHENTICATED] }
}

/** Who asks where nobody has shown who they are. */
export function anonymousUser(): User {
  return { name: ANONYMOUS, groups: [UNAUTHENTICATED] }
}

/** The server itself, where it writes what nobody may grant: default roles, gathered rules. */
export function serverUser(): User {
  return { name: 'system:apiserver', groups: [MASTERS, AUTHENTICATED] }
}
