import { hasReason } from '../../lib/errors.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { MigrationPolicy } from '../../kinds/migration.ts'
import { MIGRATION_POLICIES, NAMESPACES } from '../../kinds/table.ts'
import type { ObjectReader } from '../../store/store.ts'

type Labels = Readonly<Record<string, string>> | undefined

/**
 * The policy for a guest: of those whose labels it and its namespace all bear, the one that names most; then the one
 * that names most of the guest's; then the first by name. A policy without selectors is for nobody.
 * Source: "Migration policies" in KubeVirt's user guide.
 */
export function choosePolicy(
  policies: readonly MigrationPolicy[],
  labels: { vmi: Labels; namespace: Labels },
): MigrationPolicy | undefined {
  const matching = policies.filter(({ spec }) => {
    const { selectors } = spec
    if (!selectors) return false
    return (
      hasAll(labels.vmi, selectors.virtualMachineInstanceSelector) &&
      hasAll(labels.namespace, selectors.namespaceSelector)
    )
  })
  return matching.toSorted(
    (left, right) =>
      named(right) - named(left) ||
      namedOfVmi(right) - namedOfVmi(left) ||
      (left.metadata.name < right.metadata.name ? -1 : 1),
  )[0]
}

/** Reads what a policy is chosen by. A cluster without that kind has no policies. */
export async function findPolicy(
  store: ObjectReader,
  { metadata }: Vmi,
): Promise<MigrationPolicy | undefined> {
  try {
    const { items } = await store.list(MIGRATION_POLICIES)
    if (items.length === 0) return undefined
    const namespace = await store.get(NAMESPACES, '', metadata.namespace)
    return choosePolicy(items, { vmi: metadata.labels, namespace: namespace?.metadata.labels })
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined
    throw error
  }
}

function hasAll(labels: Labels, wanted: Labels = {}): boolean {
  return Object.entries(wanted).every(([name, value]) => labels?.[name] === value)
}

function named(policy: MigrationPolicy): number {
  return namedOfVmi(policy) + Object.keys(policy.spec.selectors?.namespaceSelector ?? {}).length
}

function namedOfVmi({ spec }: MigrationPolicy): number {
  return Object.keys(spec.selectors?.virtualMachineInstanceSelector ?? {}).length
}
