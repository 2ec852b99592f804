/** The list of kinds whose messages are known. Custom kinds are none of them: they have no messages. */
import type { Fields } from '../shapes.ts'
import { CONFIG_MAP, EVENT, LIMIT_RANGE, NAMESPACE, PERSISTENT_VOLUME_CLAIM } from './core.ts'
import { RESOURCE_QUOTA, SECRET, SERVICE_ACCOUNT } from './core.ts'
import { DELETE_OPTIONS } from './meta.ts'
import { NODE } from './node.ts'
import { CONTROLLER_REVISION, LEASE, PRIORITY_CLASS } from './others.ts'
import { BINDING, CLUSTER_ROLE, ROLE } from './rbac.ts'
import { SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_REVIEW, SELF_SUBJECT_RULES_REVIEW } from './reviews.ts'
import { SUBJECT_ACCESS_REVIEW, TOKEN_REQUEST, TOKEN_REVIEW } from './reviews.ts'

const MESSAGES = new Map<string, Record<string, Fields>>([
  [
    'v1',
    {
      Namespace: NAMESPACE,
      Secret: SECRET,
      ConfigMap: CONFIG_MAP,
      Event: EVENT,
      Node: NODE,
      ServiceAccount: SERVICE_ACCOUNT,
      PersistentVolumeClaim: PERSISTENT_VOLUME_CLAIM,
      ResourceQuota: RESOURCE_QUOTA,
      LimitRange: LIMIT_RANGE,
    },
  ],
  ['apps/v1', { ControllerRevision: CONTROLLER_REVISION }],
  ['coordination.k8s.io/v1', { Lease: LEASE }],
  ['scheduling.k8s.io/v1', { PriorityClass: PRIORITY_CLASS }],
  [
    'rbac.authorization.k8s.io/v1',
    { Role: ROLE, ClusterRole: CLUSTER_ROLE, RoleBinding: BINDING, ClusterRoleBinding: BINDING },
  ],
  [
    'authorization.k8s.io/v1',
    {
      SubjectAccessReview: SUBJECT_ACCESS_REVIEW,
      LocalSubjectAccessReview: SUBJECT_ACCESS_REVIEW,
      SelfSubjectAccessReview: SELF_SUBJECT_ACCESS_REVIEW,
      SelfSubjectRulesReview: SELF_SUBJECT_RULES_REVIEW,
    },
  ],
  [
    'authentication.k8s.io/v1',
    {
      SelfSubjectReview: SELF_SUBJECT_REVIEW,
      TokenReview: TOKEN_REVIEW,
      TokenRequest: TOKEN_REQUEST,
    },
  ],
])

/** The fields of a kind's message, `undefined` where they are not known. `DeleteOptions` may be of any version. */
export function fieldsOf(apiVersion: string, kind: string): Fields | undefined {
  if (kind === 'DeleteOptions') return DELETE_OPTIONS
  const kinds = MESSAGES.get(apiVersion)
  return kinds && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
}
