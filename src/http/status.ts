import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import {
  badRequest,
  internalError,
  methodNotAllowed,
  requestEntityTooLarge,
  StatusError,
  unsupportedMediaType,
  type Cause,
} from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'

/** How JSON is labelled: without the charset that Fastify adds to texts. */
export const JSON_TYPE = 'application/json'

/**
 * The refusal that a client is to see for whatever was thrown. Refusals are shown as they are, Fastify's own are put
 * into Kubernetes' words; of anything else nothing is shown.
 */
export function toRefusal(error: unknown, bodyLimitBytes: number): StatusError {
  if (error instanceof StatusError) return error
  if (isFastifyError(error)) return translate(error, bodyLimitBytes)
  return internalError('the request failed for a reason that is in the log of the server', error)
}

function isFastifyError(error: unknown): error is FastifyError {
  if (!(error instanceof Error) || !('statusCode' in error)) return false
  return typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500
}

function translate(error: FastifyError, bodyLimitBytes: number): StatusError {
  if (error.validation) return badRequest(error.message, error.validation.map(causeOf))
  switch (error.statusCode) {
    case 405:
      return methodNotAllowed(error.message)
    case 413:
      return requestEntityTooLarge(bodyLimitBytes)
    case 415:
      return unsupportedMediaType(error.message)
    default:
      return badRequest(error.message)
  }
}

function causeOf({ instancePath, message = '' }: { instancePath: string; message?: string }): Partial<Cause> {
  return { reason: 'FieldValueInvalid', field: instancePath.slice(1).replaceAll('/', '.'), message }
}

/** The error handler of the server: the one place where an error becomes an answer. */
export function buildErrorHandler(log: Log) {
  return async function answer(
    error: unknown,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const refusal = toRefusal(error, request.routeOptions.bodyLimit)
    if (refusal.code >= 500) {
      // The client gets a sentence, the operator the cause.
      const cause = refusal.cause ?? refusal
      log.error(
        { err: cause, method: request.method, url: pathOf(request.url), code: refusal.code },
        'request failed',
      )
    }
    return sendStatus(reply, refusal)
  }
}

/** Answers with a refusal. */
export function sendStatus(reply: FastifyReply, refusal: StatusError): FastifyReply {
  const { retryAfterSeconds } = refusal.details ?? {}
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  return reply
    .code(refusal.code)
    .type(JSON_TYPE)
    .send(Buffer.from(JSON.stringify(refusal.toStatus())))
}

/** A URL without its query: that may hold what is no business of a log. */
export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}
