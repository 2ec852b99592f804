import { hasReason } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ClusterRole, ClusterRoleBinding, Namespace, Role, RoleBinding } from '../../kinds/core.ts'
import type { Kind } from '../../kinds/kind.ts'
import type { Draft, KubeObject } from '../../kinds/meta.ts'
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, findKind, ROLE_BINDINGS, ROLES } from '../../kinds/table.ts'
import { NODE_LEASE_NAMESPACE } from '../../kinds/worker-lease.ts'
import type { ObjectReader, ObjectWriter } from '../../store/store.ts'
import { INSTALL_NAMESPACE } from '../../kinds/service-account.ts'
import { nodeLeaseKeeper, systemAccounts } from './accounts.ts'
import { AUTOUPDATE } from './build.ts'
import { kubernetesRoles } from './kubernetes-roles.ts'
import { kubevirtRoles } from './kubevirt-roles.ts'
import { SUBRESOURCE_GRANTS, type SubresourceGrant } from './subresource-grants.ts'

/** What a store must be able to do to be filled. */
type BootstrapStore = Pick<ObjectReader, 'get'> & Pick<ObjectWriter, 'create' | 'patch' | 'delete'>

type AnyBinding = RoleBinding | ClusterRoleBinding

/** The namespaces every installation has. */
export const NAMESPACE_NAMES: readonly string[] = [
  'default',
  'kube-system',
  NODE_LEASE_NAMESPACE,
  INSTALL_NAMESPACE,
]

/** Everything an empty installation begins with, in the order it can be created. */
export function bootstrapObjects(
  grants: readonly SubresourceGrant[] = SUBRESOURCE_GRANTS,
): Draft<KubeObject>[] {
  return [
    ...NAMESPACE_NAMES.map(namespace),
    ...kubernetesRoles(),
    ...kubevirtRoles(grants),
    ...systemAccounts(grants),
    ...nodeLeaseKeeper(),
  ]
}

/**
 * Creates what is missing of `objects`, and brings roles and bindings up to date that are annotated
 * `rbac.authorization.kubernetes.io/autoupdate: "true"`: the rules become ours, subjects that people have added stay.
 * `store` writes as somebody who may grant everything.
 */
export async function ensureBootstrap(
  store: BootstrapStore,
  objects: readonly Draft<KubeObject>[] = bootstrapObjects(),
): Promise<void> {
  for (const draft of objects) await ensure(store, kindOf(draft), draft)
}

async function ensure(store: BootstrapStore, kind: Kind, draft: Draft<KubeObject>): Promise<void> {
  const { namespace = '', name = '' } = draft.metadata
  const present = await store.get(kind, namespace, name)
  if (!present) return create(store, kind, draft)
  if (present.metadata.annotations?.[AUTOUPDATE] !== 'true') return
  // The kind says which type both have.
  if (kind === CLUSTER_ROLES || kind === ROLES) await updateRole(store, kind, present, draft)
  if (kind === CLUSTER_ROLE_BINDINGS || kind === ROLE_BINDINGS) {
    await updateBinding(store, kind, present as AnyBinding, draft as Draft<AnyBinding>)
  }
}

async function create(store: BootstrapStore, kind: Kind, draft: Draft<KubeObject>): Promise<void> {
  try {
    await store.create(kind, draft)
  } catch (error) {
    // Two servers may start at once.
    if (!hasReason(error, 'AlreadyExists')) throw error
  }
}

async function updateRole(
  store: BootstrapStore,
  kind: Kind,
  present: ClusterRole | Role,
  draft: Draft<ClusterRole>,
): Promise<void> {
  // The rules of an aggregated role are gathered by another hand.
  const wanted = draft.aggregationRule
    ? { aggregationRule: draft.aggregationRule }
    : { rules: draft.rules ?? [] }
  const { aggregationRule, rules }: Partial<ClusterRole> = present
  const stored = draft.aggregationRule ? { aggregationRule } : { rules: rules ?? [] }
  const labels = { ...present.metadata.labels, ...draft.metadata.labels }
  if (isSameJson(stored, wanted) && isSameJson(present.metadata.labels ?? {}, labels)) return
  const body = { metadata: { labels }, ...wanted }
  const { namespace = '', name } = present.metadata
  await store.patch(kind, namespace, name, { type: 'merge', body })
}

async function updateBinding(
  store: BootstrapStore,
  kind: Kind,
  present: AnyBinding,
  draft: Draft<AnyBinding>,
): Promise<void> {
  const { namespace = '', name } = present.metadata
  if (present.roleRef.name !== draft.roleRef.name || present.roleRef.kind !== draft.roleRef.kind) {
    // The role of a binding cannot be changed.
    await store.delete(kind, namespace, name)
    await create(store, kind, draft)
    return
  }
  const subjects = present.subjects ?? []
  const missing = (draft.subjects ?? []).filter(
    (wanted) =>
      !subjects.some(
        ({ kind, name, namespace }) =>
          kind === wanted.kind && name === wanted.name && namespace === wanted.namespace,
      ),
  )
  if (missing.length === 0) return
  const body = { subjects: [...subjects, ...missing] }
  await store.patch(kind, namespace, name, { type: 'merge', body })
}

function kindOf({ apiVersion, kind }: Draft<KubeObject>): Kind {
  const found = findKind(apiVersion, kind)
  if (!found) throw new RangeError(`the table of kinds has no ${kind} in ${apiVersion}`)
  return found
}

function namespace(name: string): Draft<Namespace> {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
}
