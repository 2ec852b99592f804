import type { User } from '../auth/access.ts'
import type { AdmissionConfig } from './config.ts'

const NAMES = ['apiserver', 'controller', 'handler', 'synchronization-controller'] as const

/** One of KubeVirt's own service accounts, as a user. Only the name counts, never the groups. */
export function kubeVirtAccount(name: (typeof NAMES)[number], installNamespace = 'kubevirt'): User {
  return {
    name: `system:serviceaccount:${installNamespace}:kubevirt-${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${installNamespace}`, 'system:authenticated'],
  }
}

/** Whether KubeVirt itself is asking. Contract: admission-overview.md, section 1. */
export function isKubeVirtAccount(
  user: User,
  { installNamespace }: Pick<AdmissionConfig, 'installNamespace'>,
): boolean {
  return NAMES.some((name) => user.name === kubeVirtAccount(name, installNamespace).name)
}
