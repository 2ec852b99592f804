/** Users and groups that Kubernetes gives a meaning to. Source: `k8s.io/apiserver/pkg/authentication/user`. */
import type { User } from './access.ts'

/** Everybody who has shown who they are. */
export const AUTHENTICATED = 'system:authenticated'
/** Everybody who has not. */
export const UNAUTHENTICATED = 'system:unauthenticated'
/** Who nobody knows. */
export const ANONYMOUS = 'system:anonymous'
/** May do everything, whatever the roles say. */
export const MASTERS = 'system:masters'
/** All service accounts. */
export const SERVICE_ACCOUNTS_GROUP = 'system:serviceaccounts'

const SERVICE_ACCOUNT_PREFIX = 'system:serviceaccount:'

/** A service account by namespace and name. */
export interface ServiceAccountName {
  namespace: string
  name: string
}

/** The user name of a service account. */
export function serviceAccountUserName({ namespace, name }: ServiceAccountName): string {
  return `${SERVICE_ACCOUNT_PREFIX}${namespace}:${name}`
}

/** The groups every service account of a namespace is in. */
export function serviceAccountGroups(namespace: string): string[] {
  return [SERVICE_ACCOUNTS_GROUP, `${SERVICE_ACCOUNTS_GROUP}:${namespace}`]
}

/** The service account a user name stands for, if it stands for one. */
export function parseServiceAccount(userName: string): ServiceAccountName | undefined {
  if (!userName.startsWith(SERVICE_ACCOUNT_PREFIX)) return undefined
  const [namespace, name, ...rest] = userName.slice(SERVICE_ACCOUNT_PREFIX.length).split(':')
  return namespace && name && rest.length === 0 ? { namespace, name } : undefined
}

/** The user a service account acts as, as far as roles are concerned. */
export function serviceAccountUser(account: ServiceAccountName): User {
  return {
    name: serviceAccountUserName(account),
    groups: [...serviceAccountGroups(account.namespace), AUTHENTICATED],
  }
}

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
