import type { User } from '../auth/access.ts'
import {
  KUBEVIRT_PARTS,
  kubeVirtAccount,
  type KubeVirtPart,
  serviceAccountUser,
} from '../kinds/service-account.ts'
import type { AdmissionConfig } from './config.ts'

/** One of KubeVirt's own service accounts, as a user. */
export function kubeVirtUser(part: KubeVirtPart, installNamespace?: string): User {
  return serviceAccountUser(kubeVirtAccount(part, installNamespace))
}

/** Whether KubeVirt itself is asking. Only the name counts, never the groups. Contract: admission-overview.md, section 1. */
export function isKubeVirtUser(
  user: User,
  { installNamespace }: Pick<AdmissionConfig, 'installNamespace'>,
): boolean {
  return KUBEVIRT_PARTS.some((part) => user.name === kubeVirtUser(part, installNamespace).name)
}
