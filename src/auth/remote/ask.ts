import { StatusError } from '../../lib/errors.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import type { KubeClient } from '../../kube/client.ts'

/** All that reviews need of a client. */
export type ReviewClient = Pick<KubeClient, 'call'>

/** Told of what is asked of the Kubernetes API, and of what need not be. */
export interface ReviewWatch {
  wanted: (result: 'hit' | 'joined' | 'miss') => void
  asked: (result: 'answered' | 'failed', tookMs: number) => void
}

/** How reviews are asked for. */
export interface ReviewOptions {
  /** 10 s where absent. */
  timeoutMs?: number
  watch?: ReviewWatch
}

/** Whoever asks is waiting for something else: a review that takes longer has failed. */
const TIMEOUT_MS = 10_000

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
  { timeoutMs = TIMEOUT_MS, watch }: ReviewOptions,
): Promise<JsonRecord> {
  const limit = AbortSignal.timeout(timeoutMs)
  const since = performance.now()
  const tell = (result: 'answered' | 'failed') => watch?.asked(result, performance.now() - since)
  try {
    const answer: unknown = await client.call({
      method: 'POST',
      path: `/apis/${group}/v1/${plural}`,
      body: { apiVersion: `${group}/v1`, ...body },
      signal: AbortSignal.any([signal, limit]),
    })
    if (isRecord(answer) && isRecord(answer.status)) {
      tell('answered')
      return answer.status
    }
    throw new TypeError(`the answer to a ${body.kind} has no status`)
  } catch (error) {
    signal.throwIfAborted()
    tell('failed')
    const message = `the Kubernetes API did not answer a ${body.kind}: access cannot be decided`
    throw new StatusError(503, 'ServiceUnavailable', message, { retryAfterSeconds: 1 }, error)
  }
}
