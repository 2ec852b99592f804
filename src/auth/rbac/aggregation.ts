import type { Clock } from '../../lib/clock.ts'
import { hasReason } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { type LabelSelector, matchesLabels, requirementsOf, SelectorError } from '../../lib/selectors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { ClusterRole, PolicyRule } from '../../kinds/core.ts'
import { CLUSTER_ROLES } from '../../kinds/table.ts'
import type { Informer, OpenInformer } from '../../store/cache.ts'
import type { Store } from '../../store/store.ts'

/** What gathers the rules of aggregated roles. */
export interface RoleAggregationOptions {
  /** Writes as somebody who may grant everything. */
  store: Pick<Store, 'get' | 'list' | 'watch' | 'patch'>
  openInformer: OpenInformer
  clock: Clock
  log: Log
}

/**
 * Keeps the rules of every ClusterRole with an `aggregationRule` equal to those of the roles it selects, until
 * disposed of, which waits for what is being written. Resolves once it follows the store.
 * Source: "Aggregated ClusterRoles" in "Using RBAC Authorization".
 */
export async function startRoleAggregation(options: RoleAggregationOptions): Promise<AsyncDisposable> {
  const { store, openInformer, clock, log } = options
  const roles = openInformer(store, CLUSTER_ROLES, {}, { clock, log })
  const queue = openWorkQueue({
    workers: 1,
    clock,
    run: (name) => gather(store, roles, name),
    onError: (role, error, retryMs) =>
      log.warn({ err: error, role, retryMs }, 'could not gather the rules of a role'),
  })
  const addAll = () => {
    for (const role of roles.list()) if (role.aggregationRule) queue.add(role.metadata.name)
  }
  roles.onChange(addAll)
  await roles.synced
  addAll()
  return {
    async [Symbol.asyncDispose]() {
      await roles[Symbol.asyncDispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

async function gather(
  store: RoleAggregationOptions['store'],
  roles: Informer<ClusterRole>,
  name: string,
): Promise<void> {
  const role = roles.get('', name)
  if (!role?.aggregationRule) return
  const rules = aggregate(role, roles.list())
  if (isSameJson(rules, role.rules ?? [])) return
  const body = { metadata: { resourceVersion: role.metadata.resourceVersion }, rules }
  try {
    await store.patch(CLUSTER_ROLES, '', name, { type: 'merge', body })
  } catch (error) {
    // Somebody wrote it meanwhile, or removed it: that change is on its way here and brings us back.
    if (!hasReason(error, 'Conflict', 'NotFound')) throw error
  }
}

/** The rules of all roles that `role` selects, in the order of their names, each rule once. */
export function aggregate(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const selectors: LabelSelector[] = role.aggregationRule?.clusterRoleSelectors ?? []
  const chosen = all
    .filter(({ metadata }) => metadata.name !== role.metadata.name)
    .filter(({ metadata }) => selectors.some((selector) => selects(selector, metadata.labels)))
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  const rules = new Map<string, PolicyRule>()
  for (const rule of chosen.flatMap((each) => each.rules ?? [])) rules.set(JSON.stringify(rule), rule)
  return [...rules.values()]
}

/** Whether a role is selected. A selector that cannot be read selects nothing: whoever wrote it granted nothing. */
function selects(selector: LabelSelector, labels: Record<string, string> | undefined): boolean {
  try {
    return matchesLabels(requirementsOf(selector), labels)
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error
    return false
  }
}
