/** Which nodes of a graph a client wants to see. Source: contract 3.13, "Filter". */
import {
  matchesLabels,
  parseLabelSelector,
  requirementsOf,
  SelectorError,
  type LabelRequirement,
  type LabelSelector,
} from '../lib/selectors.ts'
import { badRequest } from '../lib/errors.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import type { GraphNode } from './object-graph-nodes.ts'

/** What a client asked for. */
export interface GraphFilter {
  includeOptionalNodes: boolean
  /** As an object from a body, or as text from a query. */
  selector: LabelSelector | string | undefined
}

/** The graph without what was not asked for; what is dropped takes its children along. The root always stays. */
export function filterGraph(root: GraphNode, { includeOptionalNodes, selector }: GraphFilter): GraphNode {
  const requirements = readSelector(selector)
  const isWanted = ({ optional, labels }: GraphNode): boolean =>
    (includeOptionalNodes || !optional) && matchesLabels(requirements, labels)
  return prune(root, isWanted)
}

function prune(node: GraphNode, isWanted: (node: GraphNode) => boolean): GraphNode {
  const { children = [], ...rest } = node
  const kept = children.filter(isWanted).map((child) => prune(child, isWanted))
  return kept.length > 0 ? { ...rest, children: kept } : rest
}

/** One that makes no sense keeps everything, as KubeVirt has it. */
function readSelector(selector: GraphFilter['selector']): LabelRequirement[] {
  if (selector === undefined) return []
  try {
    return typeof selector === 'string' ? parseLabelSelector(selector) : requirementsOf(selector)
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error
    return []
  }
}

/** A selector from a body. Throws 400 where a member has the wrong type; what it says is looked at when it is applied. */
export function readLabelSelector({ matchLabels = {}, matchExpressions = [] }: JsonRecord): LabelSelector {
  if (!isTexts(matchLabels)) throw wrong('matchLabels', 'must be texts by name')
  if (!Array.isArray(matchExpressions)) throw wrong('matchExpressions', 'must be a list')
  return { matchLabels, matchExpressions: matchExpressions.map(readExpression) }
}

function readExpression(expression: unknown): NonNullable<LabelSelector['matchExpressions']>[number] {
  const { key = '', operator = '', values = [] } = isRecord(expression) ? expression : {}
  if (typeof key === 'string' && typeof operator === 'string' && Array.isArray(values)) {
    const texts = values.filter((value) => typeof value === 'string')
    if (texts.length === values.length) return { key, operator, values: texts }
  }
  throw wrong('matchExpressions', 'must have a key, an operator and values, each a text')
}

function isTexts(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((text) => typeof text === 'string')
}

function wrong(member: string, how: string): Error {
  return badRequest(`the request body is not as expected: labelSelector.${member} ${how}`)
}
