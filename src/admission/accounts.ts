import type { User } from '../auth/access.ts'
import type { AdmissionConfig } from './config.ts'

const NAMES = ['apiserver', 'controller', 'handler', 'synchronization-controller'] as const

const PREFIX = 'system:serviceaccount:'

/** One of KubeVirt's own service accounts, as a user. Only the name counts, never the groups. */
export function kubeVirtAccount(name: (typeof NAMES)[number], installNamespace = 'kubevirt'): User {
  return {
    name: `${PREFIX}${installNamespace}:kubevirt-${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${installNamespace}`, 'system:authenticated'],
  }
}

/** Whether KubeVirt itself is asking. Contract: admission-overview.md, section 1. */
export function isKubeVirtAccount(
  user: User,
  { installNamespace }: Pick<AdmissionConfig, 'installNamespace'>,
): boolean {
  if (!user.name.startsWith(PREFIX)) return false
  return NAMES.some((name) => user.name === kubeVirtAccount(name, installNamespace).name)
}
