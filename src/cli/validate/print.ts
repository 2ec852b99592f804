import type { Finding, Outcome, Report, Result } from './outcome.ts'

/** How many objects came out how. */
function countsOf({ objects, unreadable }: Report): Record<Result | 'unreadable', number> {
  const count = (result: Result) => objects.filter((object) => object.result === result).length
  return {
    valid: count('valid'),
    invalid: count('invalid'),
    undecided: count('undecided'),
    skipped: count('skipped'),
    unreadable: unreadable.length,
  }
}

/** The report as JSON, for programs: a line feed at its end. */
export function formatJson(report: Report): string {
  return `${JSON.stringify({ summary: countsOf(report), ...report }, undefined, 2)}\n`
}

/** The report for people: a line for each thing, beginning with its place as compilers write it. */
export function formatText(report: Report): string {
  const lines = [
    ...report.unreadable.map(({ file, line, column, message }) => {
      const at = line === undefined ? file : `${file}:${line}:${column ?? 1}`
      return `${at}: cannot be read: ${message}`
    }),
    ...report.objects.flatMap(linesOf),
  ]
  const counts = Object.entries(countsOf(report)).filter(([name, count]) => count > 0 || name === 'valid')
  const summary = counts.map(([name, count]) => `${count} ${name}`).join(', ')
  return `${[...lines, summary].join('\n')}\n`
}

function linesOf(outcome: Outcome): string[] {
  const { file, line, column, kind, namespace, name, result, errors, warnings, notes } = outcome
  const told = (word: string) => (finding: Finding) => {
    const field = finding.field ? `${finding.field}: ` : ''
    return `${file}:${finding.line}:${finding.column}: ${word}: ${field}${finding.message}`
  }
  return [
    `${file}:${line}:${column}: ${kind} ${namespace ? `${namespace}/` : ''}${name}: ${result}`,
    ...errors.map(told('error')),
    ...warnings.map(told('warning')),
    ...notes.map((note) => `${file}:${line}:${column}: note: ${note}`),
  ]
}
