import { badRequest, notAcceptable } from '../../lib/errors.ts'
import type { IncludeObject } from '../tables/table.ts'

/** How the body of an answer is written. */
export type Encoding = 'json' | 'yaml'

/** What of an object, or of the objects of a list, is told. */
export type View =
  | { as: 'object' }
  /** `version` is of `meta.k8s.io`. */
  | { as: 'table'; version: string; includeObject: IncludeObject }
  | { as: 'partial'; version: string }

/** One clause of an `Accept` header. */
export interface MediaRange {
  type: string
  /** Names in lower case. */
  parameters: Record<string, string>
}

const META_VERSIONS = new Set(['v1', 'v1beta1'])

/** What an `Accept` header allows, the most wanted first. No header: anything. */
export function parseAccept(header: string | undefined): MediaRange[] {
  if (header === undefined || header.trim() === '') return [{ type: '*/*', parameters: {} }]
  return header
    .split(',')
    .map(parseRange)
    .filter(({ quality }) => quality > 0)
    .sort((left, right) => right.quality - left.quality)
}

function parseRange(text: string): MediaRange & { quality: number } {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim())
  const parameters: Record<string, string> = {}
  for (const parameter of rest) {
    const [name = '', value = ''] = parameter.split('=', 2)
    parameters[name.trim().toLowerCase()] = value.trim().replaceAll('"', '')
  }
  const quality = Number(parameters['q'] ?? 1)
  return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 1 : quality }
}

/** How a media range may be met: `undefined` where it cannot. */
export function encodingOf(type: string): Encoding | undefined {
  switch (type) {
    case '*/*':
    case 'application/*':
    case 'application/json':
      return 'json'
    case 'application/yaml':
      return 'yaml'
    default:
      return undefined
  }
}

/** What a client is to be answered with. */
export interface Representation {
  encoding: Encoding
  view: View
}

/** What is asked for: one object, a list, or changes as they happen. */
export type Shape = 'object' | 'list' | 'watch'

/**
 * The first thing that a client takes and this server can make.
 *
 * Throws 406 where there is none, 400 for an `includeObject` that is no word of it. Source: "Receiving resources as
 * Tables" in the Kubernetes API concepts.
 */
export function negotiate(accept: string | undefined, shape: Shape, includeObject?: string): Representation {
  for (const range of parseAccept(accept)) {
    const encoding = encodingOf(range.type)
    if (!encoding || (encoding === 'yaml' && shape === 'watch')) continue
    const view = viewOf(range, shape, includeObject)
    if (view) return { encoding, view }
  }
  throw notAcceptable(
    shape === 'watch'
      ? 'only the following media types are accepted: application/json;stream=watch'
      : 'only the following media types are accepted: application/json, application/yaml',
  )
}

function viewOf(
  { parameters }: MediaRange,
  shape: Shape,
  includeObject: string | undefined,
): View | undefined {
  const { as, g: group, v: version = '' } = parameters
  if (as === undefined) return { as: 'object' }
  if (group !== 'meta.k8s.io' || !META_VERSIONS.has(version)) return undefined
  if (as === 'Table') return { as: 'table', version, includeObject: readIncludeObject(includeObject) }
  const partial = shape === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata'
  return as === partial ? { as: 'partial', version } : undefined
}

function readIncludeObject(text = 'Metadata'): IncludeObject {
  if (text === '') return 'Metadata'
  if (text === 'None' || text === 'Metadata' || text === 'Object') return text
  throw badRequest(`unrecognized includeObject value ${JSON.stringify(text)}: use None, Metadata or Object`)
}
