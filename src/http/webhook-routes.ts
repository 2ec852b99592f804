/** Admission webhooks over HTTP. Contract: ADM-HTTP-001, 002, 005, 007. Other methods than
 * POST, which the reference takes as well (ADM-HTTP-003), are not served. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AdmissionParts } from '../admission/judge.ts'
import { WEBHOOKS, type Webhook } from '../admission/webhooks/paths.ts'
import { answerReview, type WebhookAnswer } from '../admission/webhooks/review.ts'
import { isRecord } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import type { AdmissionWatch, Judged, Refusal } from '../metrics/admission.ts'

/**
 * What a Kubernetes API takes for one object; etcd stores half of that, so that a review of an update, with the object as it
 * is and as it was, has room (security.md, D8).
 */
const BODY_LIMIT_BYTES = 3 * 1024 * 1024

/** What the webhooks answer with. */
export interface WebhookParts {
  admission: AdmissionParts
  log: Log
  /** Throws where a caller gets no answer. Absent: anybody does. */
  admit?: (request: FastifyRequest) => Promise<void>
  /** Told of each review. */
  watch?: AdmissionWatch | undefined
}

/**
 * Registers every webhook at its path. Anybody may ask where `admit` does not say otherwise, as a Kubernetes API sends no
 * credentials by default: a review tells nothing but whether its own object would be admitted. It changes nothing, but that
 * room in a quota is kept for a guest for two minutes: who cannot trust all that reach the port names the callers
 * (`virtgate doctor` says where that is left open).
 */
export function registerWebhooks(app: FastifyInstance, { admission, log, admit, watch }: WebhookParts): void {
  app.register(async (scope) => {
    if (admit) scope.addHook('onRequest', admit)
    scope.removeAllContentTypeParsers()
    // Whatever is sent is read; which media type it has is decided with the answer.
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
      (_request, body, done) => done(null, body),
    )
    for (const webhook of WEBHOOKS) {
      scope.post(webhook.path, { config: { access: 'open' } }, async (request, reply) => {
        if (request.headers['content-type'] !== 'application/json') return reply.code(400).send()
        const { body } = request
        const since = performance.now()
        const review = await answerReview(admission, webhook, Buffer.isBuffer(body) ? body : Buffer.alloc(0))
        watch?.(judgedBy(webhook), performance.now() - since, refusalOf(review))
        const { code, body: answer, failure } = review
        if (failure !== undefined) log.error({ err: failure, path: webhook.path }, 'a review failed')
        if (!answer) return reply.code(code).send()
        return reply.code(code).header('content-type', 'application/json').send(JSON.stringify(answer))
      })
    }
  })
}

function judgedBy({ kind, mutates }: Webhook): Judged {
  return { resource: kind.plural, type: mutates ? 'mutating' : 'validating' }
}

/** Why it was refused; nothing where it was let through. */
function refusalOf({ code, body }: WebhookAnswer): Refusal | undefined {
  const response = body?.response
  // What cannot be read has no answer of its own.
  if (!isRecord(response)) return { code }
  if (response.allowed === true) return undefined
  const { status } = response
  // As `refusal.ts` words it.
  return isRecord(status) ? { ...status, ...(isRecord(status.details) && status.details) } : {}
}
