/** What an expression of PromQL asks for, by Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql'

/** One series that is selected. */
export interface Selector {
  name: string
  /** Names of labels that it is picked by. */
  labels: string[]
}

/** Throws where `expression` is no PromQL, or asks for a series by anything but its name. */
export function readSelectors(expression: string): Selector[] {
  const found: Selector[] = []
  parser.parse(expression).iterate({
    enter({ name, node, type, from }) {
      if (type.isError) throw new Error(`cannot be read from here on: ${expression.slice(from)}`)
      if (name !== 'VectorSelector') return
      const series = node.getChild('Identifier')
      if (!series) throw new Error(`has no name: ${expression.slice(from)}`)
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
      const labels = matchers.flatMap((matcher) => matcher.getChild('LabelName') ?? [])
      found.push({ name: textOf(series), labels: labels.map(textOf) })
    },
  })
  return found

  function textOf({ from, to }: { from: number; to: number }): string {
    return expression.slice(from, to)
  }
}

/** Names of labels that it groups or joins by. */
export function readGroupings(expression: string): string[] {
  const found: string[] = []
  parser.parse(expression).iterate({
    enter({ name, node }) {
      if (name !== 'GroupingLabels') return
      found.push(...node.getChildren('LabelName').map(({ from, to }) => expression.slice(from, to)))
    },
  })
  return found
}
