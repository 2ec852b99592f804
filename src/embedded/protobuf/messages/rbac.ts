/** Source: `generated.proto` and the struct tags of k8s.io/api/rbac/v1. */
import { kept, list, message, TEXT, type Fields } from '../shapes.ts'
import { LABEL_SELECTOR, METADATA } from './meta.ts'

const POLICY_RULE = message({
  1: ['verbs', list(TEXT)],
  2: ['apiGroups', list(TEXT)],
  3: ['resources', list(TEXT)],
  4: ['resourceNames', list(TEXT)],
  5: ['nonResourceURLs', list(TEXT)],
})

export const ROLE: Fields = { ...METADATA, 2: ['rules', list(POLICY_RULE)] }

export const CLUSTER_ROLE: Fields = {
  ...ROLE,
  3: ['aggregationRule', message({ 1: ['clusterRoleSelectors', list(LABEL_SELECTOR)] })],
}

const SUBJECT = message({
  1: ['kind', kept(TEXT)],
  2: ['apiGroup', TEXT],
  3: ['name', kept(TEXT)],
  4: ['namespace', TEXT],
})

/** RoleBinding and ClusterRoleBinding. */
export const BINDING: Fields = {
  ...METADATA,
  2: ['subjects', list(SUBJECT)],
  3: ['roleRef', message({ 1: ['apiGroup', kept(TEXT)], 2: ['kind', kept(TEXT)], 3: ['name', kept(TEXT)] })],
}
