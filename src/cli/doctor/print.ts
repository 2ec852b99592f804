import { printable } from '../../lib/printable.ts'
import type { Verdict } from './check.ts'
import type { Result } from './run.ts'

const MARKS: Record<Verdict, string> = { ok: 'ok', skipped: 'skipped', warning: 'WARNING', error: 'ERROR' }
const WIDTH = 8
/** What others say may be long, and odd. */
const LONGEST = 1000

/** The results for people: a line for each finding, and below it what to do. */
export function formatText(results: readonly Result[]): string {
  const lines = results.flatMap(({ check, findings }) =>
    findings.flatMap(({ verdict, message, advice }) => [
      `${MARKS[verdict].padEnd(WIDTH)}${check}: ${printable(message, LONGEST)}`,
      ...(advice === undefined ? [] : [`${' '.repeat(WIDTH)}→ ${printable(advice, LONGEST)}`]),
    ]),
  )
  return `${[...lines, summaryOf(results)].join('\n')}\n`
}

function summaryOf(results: readonly Result[]): string {
  const [errors, warnings] = (['error', 'warning'] as const).map((verdict) => count(results, verdict))
  if (errors === 0 && warnings === 0) return 'nothing is wrong'
  return `${errors} ${errors === 1 ? 'error' : 'errors'}, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`
}

/** The results for programs. */
export function formatJson(results: readonly Result[]): string {
  return `${JSON.stringify({ isHealthy: count(results, 'error') === 0, results }, undefined, 2)}\n`
}

/** How many findings are so bad. */
export function count(results: readonly Result[], wanted: Verdict): number {
  return results.flatMap(({ findings }) => findings).filter(({ verdict }) => verdict === wanted).length
}
