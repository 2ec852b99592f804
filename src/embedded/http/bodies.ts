import { formatExact, parseExact } from '../../lib/exact-json.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { badRequest, unsupportedMediaType } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'
import type { DeleteOptions } from '../../store/store.ts'
import type { PatchType } from '../api.ts'
import { checkDepth } from './depth.ts'
import { decodeObject, PROTOBUF } from '../protobuf/decode.ts'
import { choosePolicy, readDeleteOptions, type RawQuery } from './query.ts'
import { parseYaml } from './yaml.ts'

/** What a body may be at most; the same as kube-apiserver's limit. */
export const BODY_LIMIT_BYTES = 3 * 1024 * 1024

/** Bodies come to the handlers as bytes: what they may be depends on the request, and refusals are ours. */
export function takeBodiesAsBytes(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (_request, body, done) => done(null, body),
  )
}

type Encoding = 'json' | 'yaml'
const ENCODINGS: Record<string, Encoding> = {
  // Kubernetes takes a body without a media type for JSON.
  '': 'json',
  'application/json': 'json',
  'application/yaml': 'yaml',
}

const PATCHES: Record<string, PatchType> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
}
const APPLY_PATCHES = new Set(['application/apply-patch+yaml', 'application/apply-patch+cbor'])

/** The object in a body. Throws 400 where there is none, 415 where its media type is not known. */
export function readObject(request: FastifyRequest): unknown {
  const type = mediaTypeOf(request)
  // The typed client of kubectl sends nothing else.
  if (type === PROTOBUF) return decodeObject(bytesOf(request))
  const encoding = ENCODINGS[type]
  if (!encoding) throw unknownFormat(type, ['application/json', 'application/yaml', PROTOBUF])
  const text = textOf(request)
  if (text.trim() === '') throw badRequest('the request has no body: send the object as JSON or YAML')
  return parse(text, encoding)
}

/** A patch and its kind. Throws 400 where it cannot be read, 415 where its media type is not known. */
export function readPatch(
  request: FastifyRequest,
  accepted: readonly PatchType[],
): { type: PatchType; body: unknown } {
  const mediaType = mediaTypeOf(request)
  if (APPLY_PATCHES.has(mediaType)) {
    throw unsupportedMediaType(
      'server-side apply is not supported by this server yet: apply on the client side, which is what kubectl does without --server-side',
    )
  }
  const type = PATCHES[mediaType]
  if (!type || !accepted.includes(type)) throw unknownFormat(mediaType, patchMediaTypes(accepted))
  return { type, body: parse(textOf(request), 'json') }
}

/** The media types of kinds of patches. */
export function patchMediaTypes(types: readonly PatchType[]): string[] {
  return Object.entries(PATCHES)
    .filter(([, type]) => types.includes(type))
    .map(([mediaType]) => mediaType)
}

/** How an object is to be deleted: what the body says or, where there is none, the query. */
export function readDeletion(request: FastifyRequest): DeleteOptions {
  const query = request.query as RawQuery
  const fromQuery = readDeleteOptions(query)
  if (bytesOf(request).length === 0) return fromQuery
  const body = readObject(request)
  if (!isRecord(body)) throw badRequest('the body must be DeleteOptions')
  if (body.kind !== undefined && body.kind !== 'DeleteOptions') {
    throw badRequest(`the body must be DeleteOptions, found ${JSON.stringify(body.kind)}`)
  }
  const { dryRun: isDryRun, ...rest } = readDeletionBody(body)
  return { ...rest, dryRun: isDryRun || (fromQuery.dryRun ?? false) }
}

function readDeletionBody(body: Record<string, unknown>): DeleteOptions {
  const { gracePeriodSeconds, propagationPolicy, orphanDependents, preconditions, dryRun } = body
  // Read as the query is, so that both say the same of what is wrong.
  const read = readDeleteOptions({
    ...textMember('gracePeriodSeconds', gracePeriodSeconds),
    ...textMember('propagationPolicy', propagationPolicy),
    dryRun,
  })
  const policy = choosePolicy(read.propagationPolicy, flagOf(orphanDependents))
  const conditions = readPreconditions(preconditions)
  return {
    ...read,
    ...(policy && { propagationPolicy: policy }),
    ...(conditions && { preconditions: conditions }),
  }
}

function textMember(name: string, value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  return { [name]: typeof value === 'string' ? value : formatExact(value) }
}

function flagOf(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'boolean') return value
  throw badRequest('orphanDependents must be true or false')
}

function readPreconditions(value: unknown): DeleteOptions['preconditions'] {
  if (value === undefined || value === null) return undefined
  if (!isRecord(value)) throw badRequest('preconditions must be an object')
  const { uid, resourceVersion } = value
  for (const [name, text] of Object.entries({ uid, resourceVersion })) {
    if (text !== undefined && text !== null && typeof text !== 'string') {
      throw badRequest(`preconditions.${name} must be a string`)
    }
  }
  return {
    ...(typeof uid === 'string' && { uid }),
    ...(typeof resourceVersion === 'string' && { resourceVersion }),
  }
}

function mediaTypeOf({ headers }: FastifyRequest): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

function textOf(request: FastifyRequest): string {
  return bytesOf(request).toString('utf8')
}

function unknownFormat(type: string, accepted: string[]) {
  return unsupportedMediaType(
    `the body of the request was in an unknown format (${type}) - accepted media types include: ${accepted.join(', ')}`,
  )
}

function parse(text: string, encoding: Encoding): unknown {
  if (encoding === 'yaml' && !text.trimStart().startsWith('{')) return parseYaml(text)
  checkDepth(text)
  try {
    return parseExact(text)
  } catch (error) {
    throw badRequest(`the body is not valid JSON: ${(error as SyntaxError).message}`)
  }
}
