/**
 * The messages that kubectl sends in protocol buffers though it is told of nothing but JSON: those of its typed client.
 * Each is its fields by number, as `name:type`; `[T]` is a list and `{T}` a map from texts, as in
 * `openapi/kubevirt-types.txt`.
 *
 * Source: the files `generated.proto` of k8s.io/api and k8s.io/apimachinery.
 */
export type MessageFields = Readonly<Record<number, string>>

const METADATA = { 1: 'metadata:ObjectMeta' }
const RULES = { ...METADATA, 2: 'rules:[PolicyRule]' }
const BINDING = { ...METADATA, 2: 'subjects:[Subject]', 3: 'roleRef:RoleRef' }
/** What the server fills in stays unread. */
const REVIEW_STATUS = { 3: 'status:ignored' }

/** Every message by its name. */
export const MESSAGES: Readonly<Record<string, MessageFields>> = {
  ObjectMeta: {
    1: 'name:text',
    2: 'generateName:text',
    3: 'namespace:text',
    4: 'selfLink:text',
    5: 'uid:text',
    6: 'resourceVersion:text',
    7: 'generation:size',
    8: 'creationTimestamp:time',
    9: 'deletionTimestamp:time',
    10: 'deletionGracePeriodSeconds:int',
    11: 'labels:{text}',
    12: 'annotations:{text}',
    13: 'ownerReferences:[OwnerReference]',
    14: 'finalizers:[text]',
    17: 'managedFields:ignored',
  },
  OwnerReference: {
    1: 'kind:text',
    3: 'name:text',
    4: 'uid:text',
    5: 'apiVersion:text',
    6: 'controller:bool',
    7: 'blockOwnerDeletion:bool',
  },
  LabelSelector: { 1: 'matchLabels:{text}', 2: 'matchExpressions:[Requirement]' },
  Requirement: { 1: 'key:text', 2: 'operator:text', 3: 'values:[text]' },
  DeleteOptions: {
    1: 'gracePeriodSeconds:int',
    2: 'preconditions:Preconditions',
    3: 'orphanDependents:bool',
    4: 'propagationPolicy:text',
    5: 'dryRun:[text]',
  },
  Preconditions: { 1: 'uid:text', 2: 'resourceVersion:text' },
  ObjectReference: {
    1: 'kind:text',
    2: 'namespace:text',
    3: 'name:text',
    4: 'uid:text',
    5: 'apiVersion:text',
    6: 'resourceVersion:text',
    7: 'fieldPath:text',
  },
  LocalObjectReference: { 1: 'name:text' },

  Namespace: { ...METADATA, 2: 'spec:NamespaceSpec', 3: 'status:NamespaceStatus' },
  NamespaceSpec: { 1: 'finalizers:[text]' },
  NamespaceStatus: { 1: 'phase:text', 2: 'conditions:[NamespaceCondition]' },
  NamespaceCondition: {
    1: 'type:text',
    2: 'status:text',
    4: 'lastTransitionTime:time',
    5: 'reason:text',
    6: 'message:text',
  },
  Secret: { ...METADATA, 2: 'data:{bytes}', 3: 'type:text', 4: 'stringData:{text}', 5: 'immutable:bool' },
  ConfigMap: { ...METADATA, 2: 'data:{text}', 3: 'binaryData:{bytes}', 4: 'immutable:bool' },
  ServiceAccount: {
    ...METADATA,
    2: 'secrets:[ObjectReference]',
    3: 'imagePullSecrets:[LocalObjectReference]',
    4: 'automountServiceAccountToken:bool',
  },
  ResourceQuota: { ...METADATA, 2: 'spec:ResourceQuotaSpec', 3: 'status:ResourceQuotaStatus' },
  ResourceQuotaSpec: { 1: 'hard:{quantity}', 2: 'scopes:[text]', 3: 'scopeSelector:ScopeSelector' },
  ResourceQuotaStatus: { 1: 'hard:{quantity}', 2: 'used:{quantity}' },
  ScopeSelector: { 1: 'matchExpressions:[ScopeRequirement]' },
  ScopeRequirement: { 1: 'scopeName:text', 2: 'operator:text', 3: 'values:[text]' },
  PriorityClass: {
    ...METADATA,
    2: 'value:int',
    3: 'globalDefault:bool',
    4: 'description:text',
    5: 'preemptionPolicy:text',
  },
  Lease: { ...METADATA, 2: 'spec:LeaseSpec' },
  LeaseSpec: {
    1: 'holderIdentity:text',
    2: 'leaseDurationSeconds:int',
    3: 'acquireTime:microtime',
    4: 'renewTime:microtime',
    5: 'leaseTransitions:int',
    6: 'strategy:text',
    7: 'preferredHolder:text',
  },
  Event: {
    ...METADATA,
    2: 'involvedObject:ObjectReference',
    3: 'reason:text',
    4: 'message:text',
    5: 'source:EventSource',
    6: 'firstTimestamp:time',
    7: 'lastTimestamp:time',
    8: 'count:size',
    9: 'type:text',
    10: 'eventTime:microtime',
    11: 'series:EventSeries',
    12: 'action:text',
    13: 'related:ObjectReference',
    14: 'reportingComponent:text',
    15: 'reportingInstance:text',
  },
  EventSource: { 1: 'component:text', 2: 'host:text' },
  EventSeries: { 1: 'count:int', 2: 'lastObservedTime:microtime' },

  Role: RULES,
  ClusterRole: { ...RULES, 3: 'aggregationRule:AggregationRule' },
  AggregationRule: { 1: 'clusterRoleSelectors:[LabelSelector]' },
  PolicyRule: {
    1: 'verbs:[text]',
    2: 'apiGroups:[text]',
    3: 'resources:[text]',
    4: 'resourceNames:[text]',
    5: 'nonResourceURLs:[text]',
  },
  RoleBinding: BINDING,
  ClusterRoleBinding: BINDING,
  Subject: { 1: 'kind:text', 2: 'apiGroup:text', 3: 'name:text', 4: 'namespace:text' },
  RoleRef: { 1: 'apiGroup:text', 2: 'kind:text', 3: 'name:text' },

  SelfSubjectAccessReview: { ...METADATA, 2: 'spec:AccessSpec', ...REVIEW_STATUS },
  SubjectAccessReview: { ...METADATA, 2: 'spec:AccessSpec', ...REVIEW_STATUS },
  LocalSubjectAccessReview: { ...METADATA, 2: 'spec:AccessSpec', ...REVIEW_STATUS },
  /** The last four are of those who ask about others. */
  AccessSpec: {
    1: 'resourceAttributes:ResourceAttributes',
    2: 'nonResourceAttributes:NonResourceAttributes',
    3: 'user:text',
    4: 'groups:[text]',
    5: 'extra:{texts}',
    6: 'uid:text',
  },
  ResourceAttributes: {
    1: 'namespace:text',
    2: 'verb:text',
    3: 'group:text',
    4: 'version:text',
    5: 'resource:text',
    6: 'subresource:text',
    7: 'name:text',
    8: 'fieldSelector:SelectorAttributes',
    9: 'labelSelector:SelectorAttributes',
  },
  SelectorAttributes: { 1: 'rawSelector:text', 2: 'requirements:[Requirement]' },
  NonResourceAttributes: { 1: 'path:text', 2: 'verb:text' },
  SelfSubjectRulesReview: { ...METADATA, 2: 'spec:RulesSpec', ...REVIEW_STATUS },
  RulesSpec: { 1: 'namespace:text' },
  SelfSubjectReview: { ...METADATA, 2: 'status:ignored' },
  TokenReview: { ...METADATA, 2: 'spec:TokenReviewSpec', ...REVIEW_STATUS },
  TokenReviewSpec: { 1: 'token:text', 2: 'audiences:[text]' },
  TokenRequest: { ...METADATA, 2: 'spec:TokenRequestSpec', ...REVIEW_STATUS },
  TokenRequestSpec: { 1: 'audiences:[text]', 3: 'boundObjectRef:BoundObject', 4: 'expirationSeconds:int' },
  BoundObject: { 1: 'kind:text', 2: 'apiVersion:text', 3: 'name:text', 4: 'uid:text' },
}

const KINDS_BY_GROUP: Record<string, string[]> = {
  v1: ['Namespace', 'Secret', 'ConfigMap', 'ServiceAccount', 'ResourceQuota', 'Event'],
  'rbac.authorization.k8s.io/v1': ['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'],
  'scheduling.k8s.io/v1': ['PriorityClass'],
  'coordination.k8s.io/v1': ['Lease'],
  'authorization.k8s.io/v1': [
    'SelfSubjectAccessReview',
    'SubjectAccessReview',
    'LocalSubjectAccessReview',
    'SelfSubjectRulesReview',
  ],
  'authentication.k8s.io/v1': ['SelfSubjectReview', 'TokenReview', 'TokenRequest'],
}

/** Whether a kind's message is known. `DeleteOptions` may be of any version. */
export function isKnownMessage(apiVersion: string, kind: string): boolean {
  return kind === 'DeleteOptions' || (KINDS_BY_GROUP[apiVersion]?.includes(kind) ?? false)
}
