import { StatusError } from '../../lib/errors.ts'
import { skipped, wrong, type Check, type Doctor, type Finding } from './check.ts'

/** What a check has found. */
export interface Result {
  check: string
  findings: Finding[]
}

/**
 * Runs the checks, all at once, each for at most `limitMs`. Throws the reason of the signal where it aborts; what goes wrong in
 * a check is one of its findings.
 */
export async function runChecks(
  checks: readonly Check[],
  doctor: Doctor,
  limitMs: number,
): Promise<Result[]> {
  const results = await Promise.all(
    checks
      .filter(({ isForEmbedded }) => isForEmbedded || !doctor.isEmbedded)
      .map(async (check) => ({ check: check.name, findings: await runCheck(check, doctor, limitMs) })),
  )
  doctor.signal.throwIfAborted()
  return results
}

async function runCheck(check: Check, doctor: Doctor, limitMs: number): Promise<Finding[]> {
  const limit = AbortSignal.timeout(limitMs)
  try {
    return await check.run({ ...doctor, signal: AbortSignal.any([doctor.signal, limit]) })
  } catch (error) {
    if (limit.aborted)
      return [
        wrong(
          `no answer within ${limitMs / 1000} s`,
          'try again, with a longer --timeout if the API is slow',
        ),
      ]
    return [explain(error)]
  }
}

function explain(error: unknown): Finding {
  const text = error instanceof Error ? error.message : String(error)
  if (error instanceof StatusError && error.code === 403)
    return skipped(`you may not look: ${text}`, 'ask somebody who administers the cluster to run this')
  return wrong(`this could not be found out: ${text}`, 'see whether what is said above explains it')
}
