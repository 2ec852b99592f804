import type { Action, Subresource } from '../subresources/subresource.ts'
import type { Json } from './kind-schemas.ts'
import { answersWithKind, schemaName, STATUS_NAME, ticketName } from './openapi-schemas.ts'
import { JSON_TYPE } from './status.ts'

/** A parameter of an operation; v3 wraps its type in a schema. */
export interface Parameter {
  name: string
  in: 'path' | 'query'
  required?: true
  description: string
  type: string
}

/** One answer of an operation. */
export interface Answer {
  description: string
  mediaType?: string
  /** As v3 writes it. */
  schema?: Json
}

/** An operation, before it is written as v2 or v3. */
export interface Operation {
  id: string
  description: string
  version: string
  parameters: Parameter[]
  responses: Record<number, Answer>
  extensions: Json
  /** Schema of the body that it takes, as v3 writes it. */
  body?: Json
}

const PHRASES: Record<number, string> = {
  101: 'Switching Protocols',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  406: 'Not Acceptable',
  409: 'Conflict',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

const COMMON = [400, 401, 403, 404, 409, 500, 503, 504]
const REFUSALS: Record<Subresource['type'], number[]> = {
  action: [...COMMON, 413, 422],
  query: [...COMMON, 406, 413],
  download: [...COMMON, 406, 429],
  stream: [...COMMON, 426, 429],
}

function refTo(name: string): Json {
  return { $ref: `#/components/schemas/${name}` }
}

/** What an operation may answer: its success and each refusal with a `Status`. */
export function responsesOf(version: string, subresource: Subresource): Record<number, Answer> {
  const { code, ...success } = successOf(version, subresource)
  return { [code]: { description: PHRASES[code] ?? '', ...success }, ...refusals(REFUSALS[subresource.type]) }
}

/** What a request for a ticket may be answered. */
export function ticketResponses(version: string): Record<number, Answer> {
  const schema = refTo(ticketName(version))
  return { 201: { description: 'Created', mediaType: JSON_TYPE, schema }, ...refusals(COMMON) }
}

function refusals(codes: number[]): Record<number, Answer> {
  const schema = refTo(STATUS_NAME)
  return Object.fromEntries(
    codes.map((code) => [code, { description: PHRASES[code] ?? '', mediaType: JSON_TYPE, schema }]),
  )
}

function successOf(
  version: string,
  subresource: Subresource,
): Omit<Answer, 'description'> & { code: number } {
  const json = { mediaType: JSON_TYPE, schema: refTo(schemaName(version, subresource)) }
  switch (subresource.type) {
    case 'action':
      return { code: subresource.success, ...(answersWithKind(subresource) && json) }
    case 'query':
      return { code: 200, ...json }
    case 'download':
      return { code: 200, mediaType: subresource.mediaType, schema: { type: 'string', format: 'binary' } }
    default:
      return { code: 101 }
  }
}

/** The schema of the body that a subresource takes, if it takes one. */
export function bodyOf(version: string, subresource: Subresource): Json | undefined {
  if (subresource.type !== 'action' || !takesBody(subresource)) return undefined
  return refTo(schemaName(version, subresource))
}

function takesBody({ fields }: Action): boolean {
  return fields === undefined || Object.keys(fields).length > 0
}

/** Parameters of one of a subresource's paths. */
export function parametersOf(subresource: Subresource, path: string): Parameter[] {
  const singular = subresource.resource?.singular ?? subresource.name
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']): Parameter => ({
    name,
    in: 'path',
    required: true,
    description: describePart(name, singular),
    type: 'string',
  }))
  const inQuery = Object.entries(queryOf(subresource)).map(([name, rest]): Parameter => ({
    name,
    in: 'query',
    ...rest,
  }))
  return [...inPath, ...inQuery]
}

function describePart(name: string, singular: string): string {
  if (name === 'namespace') return `Namespace of the ${singular}.`
  return name === 'name' ? `Name of the ${singular}.` : `The ${name}.`
}

function queryOf(subresource: Subresource): Record<string, Pick<Parameter, 'type' | 'description'>> {
  if (subresource.type === 'action') {
    return { dryRun: { type: 'string', description: 'With "All", check everything and change nothing.' } }
  }
  const ticket = { type: 'string', description: 'A one-use ticket, instead of another credential.' }
  return { ...subresource.parameters, ...(subresource.type === 'stream' && { ticket }) }
}
