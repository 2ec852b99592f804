import { unsupportedValue } from '../lib/causes.ts'
import { invalid } from '../lib/errors.ts'
import type { Call } from './subresource.ts'

/**
 * Whether only to check, as the query parameter `dryRun` and the body field of that name say; either counts.
 *
 * Throws 422 where a value is not `All`: a change that was not meant is worse than a refusal (contract: F1, F2).
 */
export function isDryRun({ query }: Pick<Call, 'query'>, kind: string, fromBody: string[] = []): boolean {
  const asked = query.dryRun === undefined ? fromBody : [query.dryRun, ...fromBody]
  const wrong = asked.find((value) => value !== 'All')
  if (wrong !== undefined) {
    throw invalid({ group: 'subresources.kubevirt.io', kind }, '', [
      unsupportedValue('dryRun', `Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"`),
    ])
  }
  return asked.length > 0
}
