import type { Vmi } from '../../kinds/kubevirt.ts'
import {
  matchesLabels,
  requirementsOf,
  SelectorError,
  type LabelRequirement,
  type LabelSelector,
} from '../../lib/selectors.ts'
import type { Rule } from './situation.ts'

/** Whether labels are as a selector demands. One that cannot be read selects nobody; its own guest is told, by `isReadable`. */
export function isSelectedBy(
  selector: LabelSelector,
  more: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  try {
    return matchesLabels([...requirementsOf(selector), ...more], labels)
  } catch (error) {
    if (error instanceof SelectorError) return false
    throw error
  }
}

/** A guest whose own demands cannot be read goes nowhere, rather than to the wrong node. */
export const isReadable: Rule = ({ spec }) => {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {}
  const terms = [podAffinity, podAntiAffinity].flatMap(
    (rules) => rules?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
  )
  const selectors = [
    ...terms.flatMap(({ labelSelector, namespaceSelector }) => [labelSelector, namespaceSelector]),
    ...(spec.topologySpreadConstraints ?? []).map(({ labelSelector }) => labelSelector),
  ]
  try {
    // What the published type says of selectors is what ours has.
    for (const selector of selectors) requirementsOf(selector ?? {})
    return undefined
  } catch (error) {
    if (error instanceof SelectorError) return `node(s) couldn't be checked: ${error.message}`
    throw error
  }
}

/** Demands that the labels of other guests are as the owner's own are, or are not. */
export function ownLabels(
  { metadata }: Vmi,
  keys: { matchLabelKeys?: string[] | undefined; mismatchLabelKeys?: string[] | undefined },
): LabelRequirement[] {
  const demand = (operator: 'in' | 'notin') => (key: string) => {
    const value = metadata.labels?.[key]
    return value === undefined ? [] : [{ key, operator, values: [value] }]
  }
  return [
    ...(keys.matchLabelKeys ?? []).flatMap(demand('in')),
    ...(keys.mismatchLabelKeys ?? []).flatMap(demand('notin')),
  ]
}
