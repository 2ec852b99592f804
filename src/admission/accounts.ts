import type { User } from '../auth/access.ts'
import {
  KUBEVIRT_PARTS,
  kubeVirtAccount,
  type KubeVirtPart,
  parseServiceAccount,
  serviceAccountUser,
} from '../kinds/service-account.ts'
import { isSameJson } from '../lib/json.ts'
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
  const account = parseServiceAccount(user.name)
  return (
    account !== undefined &&
    KUBEVIRT_PARTS.some((part) => isSameJson(account, kubeVirtAccount(part, installNamespace)))
  )
}
