import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import {
  badRequest,
  internalError,
  methodNotAllowed,
  requestEntityTooLarge,
  StatusError,
  unsupportedMediaType,
  type Cause,
  type Status,
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
    return sendStatus(reply, refusal, request.headers.upgrade !== undefined)
  }
}

/** Of the answer to a refused handshake clients read 1,024 bytes: what is longer is cut and parses no more (contract 4.8). */
const HANDSHAKE_LIMIT_BYTES = 1000

/** Answers with a refusal; `isHandshake`: in no more bytes than are read of the answer to a handshake. */
export function sendStatus(reply: FastifyReply, refusal: StatusError, isHandshake = false): FastifyReply {
  const { retryAfterSeconds } = refusal.details ?? {}
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  const status = refusal.toStatus()
  return reply
    .code(refusal.code)
    .type(JSON_TYPE)
    .send(isHandshake ? encodeWithin(status, HANDSHAKE_LIMIT_BYTES) : encode(status))
}

function encode(status: Status): Buffer {
  return Buffer.from(JSON.stringify(status))
}

/** Gives up the causes first, then the end of the message. */
function encodeWithin(status: Status, limitBytes: number): Buffer {
  const whole = encode(status)
  if (whole.length <= limitBytes) return whole
  const { causes: _causes, ...details } = status.details ?? {}
  let message = status.message ?? ''
  for (;;) {
    const encoded = encode({ ...status, details, message: `${message.toWellFormed()}…` })
    if (encoded.length <= limitBytes || message === '') return encoded
    message = message.slice(0, Math.max(0, message.length - Math.ceil((encoded.length - limitBytes) / 6)))
  }
}

/** A URL without its query: that may hold what is no business of a log. */
export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}
