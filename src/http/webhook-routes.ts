/** Admission webhooks over HTTP. Contract: ADM-HTTP-001, 002, 005, 007. Other methods than
 * POST, which the reference takes as well (ADM-HTTP-003), are not served. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AdmissionParts } from '../admission/judge.ts'
import { WEBHOOKS } from '../admission/webhooks/paths.ts'
import { answerReview } from '../admission/webhooks/review.ts'
import type { Log } from '../lib/log.ts'

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
}

/**
 * Registers every webhook at its path. Anybody may ask where `admit` does not say otherwise, as a Kubernetes API sends no
 * credentials by default: a review tells nothing but whether its own object would be admitted. It changes nothing, but that
 * room in a quota is kept for a guest for two minutes: who cannot trust all that reach the port names the callers
 * (`virtgate doctor` says where that is left open).
 */
export function registerWebhooks(app: FastifyInstance, { admission, log, admit }: WebhookParts): void {
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
        const {
          code,
          body: answer,
          failure,
        } = await answerReview(admission, webhook, Buffer.isBuffer(body) ? body : Buffer.alloc(0))
        if (failure !== undefined) log.error({ err: failure, path: webhook.path }, 'a review failed')
        if (!answer) return reply.code(code).send()
        return reply.code(code).header('content-type', 'application/json').send(JSON.stringify(answer))
      })
    }
  })
}
