import type { Node } from '../../kinds/core.ts'
import type { Vmi, VmiSpec } from '../../kinds/kubevirt.ts'
import type { Rule } from './situation.ts'

interface Expression {
  key: string
  operator: string
  values?: string[]
}

/** Source: `core/v1` NodeSelectorTerm. */
export interface NodeSelectorTerm {
  matchExpressions?: Expression[]
  matchFields?: Expression[]
}

/** A guest goes where its node selector and its required node affinity let it. */
export const matchesNodeAffinity: Rule = ({ spec }, { node }) =>
  isSelected(spec, node) ? undefined : "node(s) didn't match VMI's node affinity/selector"

/** A guest goes where its volumes are. */
export const reachesVolumes: Rule = (_vmi, { node }, { needs }) =>
  needs.volumeNodes.every((terms) => terms.some((term) => matchesTerm(term, node)))
    ? undefined
    : 'node(s) had volume node affinity conflict'

/** Whether the node is one that the spec's node selector and required node affinity name. */
export function isSelected({ nodeSelector = {}, affinity }: VmiSpec, node: Node): boolean {
  const labels = node.metadata.labels ?? {}
  if (Object.entries(nodeSelector).some(([key, value]) => labels[key] !== value)) return false
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return !required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node))
}

/** The sum of the weights of the preferred terms that the node matches. A term without demands matches every node. */
export function nodePreference({ spec }: Vmi, node: Node): number {
  const preferred = spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  return preferred
    .filter(({ preference }) => isEmpty(preference) || matchesTerm(preference, node))
    .reduce((sum, { weight }) => sum + weight, 0)
}

/** A term without demands matches nothing. Source: `core/v1` NodeSelectorTerm. */
function matchesTerm(term: NodeSelectorTerm, { metadata }: Node): boolean {
  if (isEmpty(term)) return false
  const { matchExpressions = [], matchFields = [] } = term
  const labels = metadata.labels ?? {}
  const fields: Record<string, string> = { 'metadata.name': metadata.name }
  return (
    matchExpressions.every((expression) => matches(expression, labels)) &&
    matchFields.every((expression) => matches(expression, fields))
  )
}

function isEmpty({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm): boolean {
  return matchExpressions.length + matchFields.length === 0
}

function matches({ key, operator, values = [] }: Expression, present: Record<string, string>): boolean {
  const value = present[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0])
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0])
    default:
      // An operator from the future cannot be known to match.
      return false
  }
}
