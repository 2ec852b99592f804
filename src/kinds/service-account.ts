/** Service accounts as users, and those of KubeVirt. Source: `k8s.io/apiserver/pkg/authentication/serviceaccount`. */

/** Everybody who has shown who they are. */
export const AUTHENTICATED = 'system:authenticated'
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
export function serviceAccountUser(account: ServiceAccountName): { name: string; groups: string[] } {
  return {
    name: serviceAccountUserName(account),
    groups: [...serviceAccountGroups(account.namespace), AUTHENTICATED],
  }
}

/** Where KubeVirt's own accounts live unless it is installed elsewhere. */
export const INSTALL_NAMESPACE = 'kubevirt'

/** What KubeVirt's own parts are called, and so their accounts. Source: contract, section 8.3. */
export const KUBEVIRT_PARTS = ['apiserver', 'controller', 'handler', 'synchronization-controller'] as const
export type KubeVirtPart = (typeof KUBEVIRT_PARTS)[number]

/** The service account of one of KubeVirt's own parts. */
export function kubeVirtAccount(part: KubeVirtPart, namespace = INSTALL_NAMESPACE): ServiceAccountName {
  return { namespace, name: `kubevirt-${part}` }
}
