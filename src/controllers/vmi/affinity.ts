import type { Node } from '../../kinds/core.ts'
import type { VmiSpec } from '../../kinds/kubevirt.ts'

interface Expression {
  key: string
  operator: string
  values?: string[]
}

interface Term {
  matchExpressions?: Expression[]
  matchFields?: Expression[]
}

/**
 * Why the guest's affinity keeps it off the node; `undefined` where it does not.
 *
 * Demands on other guests (pod affinity, topology spread) cannot be checked yet: a guest that makes them is
 * refused by every node rather than placed wrongly.
 */
export function affinityRefusal(
  { affinity, topologySpreadConstraints }: VmiSpec,
  node: Node,
): string | undefined {
  const others = [affinity?.podAffinity, affinity?.podAntiAffinity]
  if (others.some((rules) => (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).length > 0)) {
    return 'node(s) could not be checked for required pod affinity, which is not supported yet: remove it'
  }
  if (topologySpreadConstraints?.some(({ whenUnsatisfiable }) => whenUnsatisfiable !== 'ScheduleAnyway')) {
    return 'node(s) could not be checked for topology spread constraints, which are not supported yet: remove them'
  }
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (!required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node))) return undefined
  return "node(s) didn't match the VMI's node affinity"
}

/** A term without demands matches nothing. Source: `core/v1` NodeSelectorTerm. */
function matchesTerm({ matchExpressions = [], matchFields = [] }: Term, { metadata }: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false
  const labels = metadata.labels ?? {}
  const fields: Record<string, string> = { 'metadata.name': metadata.name }
  return (
    matchExpressions.every((expression) => matches(expression, labels)) &&
    matchFields.every((expression) => matches(expression, fields))
  )
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
