/** One reason a field was refused, as in `details.causes` of a Kubernetes `Status`. */
export interface Cause {
  /** `FieldValueInvalid`, `FieldValueRequired`, … : the machine-readable kind of the refusal. */
  reason: string
  /** What is wrong, what was found, and what to do. */
  message: string
  /** Path of the field, such as `spec.template.spec.domain.cpu.cores`. Empty when no field is to blame. */
  field: string
}

/** What a refusal is about; becomes `details` of the `Status`. */
export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: Partial<Cause>[]
  retryAfterSeconds?: number
}

/** A `metav1.Status` as it goes over the wire. */
export interface Status {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, never>
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: StatusDetails
  code: number
}

/** The resource a refusal speaks of. `kind` is the word that goes into `details.kind`. */
export interface RefusedKind {
  group: string
  /** Singular lower case for our own subresources, plural for the Kubernetes API; as `kinds` spells it. */
  kind: string
}

/**
 * A refusal that the caller can act on. It is thrown anywhere and turned into a `Status` answer in one
 * place, `http/status.ts`.
 */
export class StatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: StatusDetails | undefined

  constructor(code: number, reason: string, message: string, details?: StatusDetails, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StatusError'
    this.code = code
    this.reason = reason
    this.details = details
  }

  /** The body a client gets. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    }
  }

  /** The error that a `Status` body from another server stands for. */
  static fromStatus(status: Partial<Status>, fallbackCode: number): StatusError {
    const code = status.code ?? fallbackCode
    return new StatusError(code, status.reason ?? 'Unknown', status.message ?? `HTTP ${code}`, status.details)
  }
}

/** Whether `error` is a refusal with one of these reasons, such as `NotFound` or `Conflict`. */
export function hasReason(error: unknown, ...reasons: string[]): error is StatusError {
  return error instanceof StatusError && reasons.includes(error.reason)
}

/** What is found; `undefined` where the answer is 404: there is no such object, or no such kind is served. */
export async function unlessNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return undefined
    throw error
  }
}

function about({ group, kind }: RefusedKind, name: string): StatusDetails {
  return { ...(name && { name }), ...(group && { group }), kind }
}

function quoted({ group, kind }: RefusedKind, name: string): string {
  return `${group ? `${kind}.${group}` : kind} "${name}"`
}

/** 400: the request itself cannot be understood. */
export function badRequest(message: string, causes?: Partial<Cause>[]): StatusError {
  return new StatusError(400, 'BadRequest', message, causes && { causes })
}

/** 401: nobody we know is asking. */
export function unauthorized(message = 'Unauthorized'): StatusError {
  return new StatusError(401, 'Unauthorized', message)
}

/** 403: the caller is known and may not do this. */
export function forbidden(kind: RefusedKind, name: string, message: string): StatusError {
  return new StatusError(
    403,
    'Forbidden',
    `${quoted(kind, name)} is forbidden: ${message}`,
    about(kind, name),
  )
}

/** 404: there is no object of that name. */
export function notFound(kind: RefusedKind, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${quoted(kind, name)} not found`, about(kind, name))
}

/** 404: there is nothing at that address. */
export function noSuchPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource')
}

/** 405: the resource exists and does not take this method. */
export function methodNotAllowed(message: string): StatusError {
  return new StatusError(405, 'MethodNotAllowed', message)
}

/** 406: none of the media types asked for can be produced. */
export function notAcceptable(message: string): StatusError {
  return new StatusError(406, 'NotAcceptable', message)
}

/** 409: the object is there already. */
export function alreadyExists(kind: RefusedKind, name: string): StatusError {
  return new StatusError(409, 'AlreadyExists', `${quoted(kind, name)} already exists`, about(kind, name))
}

/** 409: the object's present state does not allow it, or somebody else was faster. */
export function conflict(kind: RefusedKind, name: string, message: string): StatusError {
  return new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${quoted(kind, name)}: ${message}`,
    about(kind, name),
  )
}

/** 410: the resource version or continue token is too old; list again. */
export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message)
}

/** 413: the body is larger than this server reads. */
export function requestEntityTooLarge(limitBytes: number): StatusError {
  return new StatusError(
    413,
    'RequestEntityTooLarge',
    `the request body is larger than the limit of ${limitBytes} bytes`,
  )
}

/** 415: the body has a media type this route does not take. */
export function unsupportedMediaType(message: string): StatusError {
  return new StatusError(415, 'UnsupportedMediaType', message)
}

/** 422: the object is understood and breaks a rule. One cause a field. */
export function invalid(kind: RefusedKind, name: string, causes: Cause[]): StatusError {
  const text = causes.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join(', ')
  const list = causes.length > 1 ? `[${text}]` : text
  return new StatusError(422, 'Invalid', `${quoted(kind, name)} is invalid: ${list}`, {
    ...about(kind, name),
    causes,
  })
}

/** 429: come back later. */
export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return new StatusError(429, 'TooManyRequests', message, { retryAfterSeconds })
}

/** 500: something we depend on failed in a way the caller cannot mend. `cause` goes to the log. */
export function internalError(message: string, cause?: unknown): StatusError {
  return new StatusError(
    500,
    'InternalError',
    `Internal error occurred: ${message}`,
    { causes: [{ message }] },
    cause,
  )
}

/** 502: a part this needs answered with something that cannot be used. `cause` goes to the log. */
export function badGateway(message: string, cause?: unknown): StatusError {
  return new StatusError(502, 'BadGateway', message, undefined, cause)
}

/** 503: a part this needs is not there right now. */
export function serviceUnavailable(message: string, retryAfterSeconds?: number): StatusError {
  return new StatusError(
    503,
    'ServiceUnavailable',
    message,
    retryAfterSeconds === undefined ? undefined : { retryAfterSeconds },
  )
}

/** 504: a part this needs did not answer in time. */
export function timeout(message: string): StatusError {
  return new StatusError(504, 'Timeout', message)
}
