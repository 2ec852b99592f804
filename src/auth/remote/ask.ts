import { StatusError } from '../../lib/errors.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import type { KubeClient } from '../../kube/client.ts'

/** All that reviews need of a client. */
export type ReviewClient = Pick<KubeClient, 'call'>

/** Whoever asks is waiting for something else: a review that takes longer has failed. */
export const TIMEOUT_MS = 10_000

/**
 * Posts a review and gives the `status` of the answer. Throws 503 where that cannot be had, for whatever reason: not
 * knowing never means yes.
 */
export async function askForStatus(
  client: ReviewClient,
  group: string,
  plural: string,
  body: { kind: string; spec: JsonRecord },
  signal: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<JsonRecord> {
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    const answer: unknown = await client.call({
      method: 'POST',
      path: `/apis/${group}/v1/${plural}`,
      body: { apiVersion: `${group}/v1`, ...body },
      signal: AbortSignal.any([signal, limit]),
    })
    if (isRecord(answer) && isRecord(answer.status)) return answer.status
    throw new TypeError(`the answer to a ${body.kind} has no status`)
  } catch (error) {
    signal.throwIfAborted()
    const message = `the Kubernetes API did not answer a ${body.kind}: access cannot be decided`
    throw new StatusError(503, 'ServiceUnavailable', message, { retryAfterSeconds: 1 }, error)
  }
}
