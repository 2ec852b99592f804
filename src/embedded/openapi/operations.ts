/** What OpenAPI says of the endpoints of a kind. */
import type { Kind } from '../../kinds/kind.ts'
import { refTo, type Schema } from '../../lib/schema/schema.ts'
import { patchMediaTypes } from '../http/bodies.ts'
import type { Endpoint, Verb } from '../http/endpoints.ts'
import { patchTypesOf } from '../http/objects.ts'

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'

/** Definitions that operations refer to, beside those of the kinds. */
export const OPERATION_SCHEMAS = [`${META}.DeleteOptions`, `${META}.ListMeta`, `${META}.Status`]

/** An operation of a path. */
export type Operation = Record<string, unknown>

/** Source: `x-kubernetes-action` in the OpenAPI document of Kubernetes. */
const ACTIONS: Record<Verb, string> = {
  create: 'post',
  delete: 'delete',
  deletecollection: 'deletecollection',
  get: 'get',
  list: 'list',
  patch: 'patch',
  update: 'put',
}

interface Parameter {
  name: string
  in: 'path' | 'query'
  description: string
  required?: true
  schema: Schema
}

function query(name: string, type: 'boolean' | 'integer' | 'string', description: string): Parameter {
  return { name, in: 'query', description, schema: { type } }
}

const DRY_RUN = query('dryRun', 'string', 'All: check everything and store nothing.')
const WRITE = [
  DRY_RUN,
  query('fieldManager', 'string', 'Who makes the change, in up to 128 characters.'),
  query(
    'fieldValidation',
    'string',
    'What to do about fields the schema does not know: Ignore, Warn or Strict.',
  ),
]
const SELECTORS = [
  query('fieldSelector', 'string', 'Picks objects by their fields.'),
  query('labelSelector', 'string', 'Picks objects by their labels.'),
]
const LIST = [
  ...SELECTORS,
  query('limit', 'integer', 'Objects a page.'),
  query('continue', 'string', 'Where the page before ended.'),
  query('resourceVersion', 'string', 'The version to show, or to watch from.'),
  query('resourceVersionMatch', 'string', 'Exact or NotOlderThan.'),
  query('timeoutSeconds', 'integer', 'How long a watch lasts.'),
  query('watch', 'boolean', 'Follow changes instead.'),
  query('allowWatchBookmarks', 'boolean', 'Tell versions where nothing has changed, too.'),
  query('sendInitialEvents', 'boolean', 'Begin a watch with what there is.'),
]
const DELETE = [
  DRY_RUN,
  query('gracePeriodSeconds', 'integer', 'How long the object may take to end.'),
  query('orphanDependents', 'boolean', 'Deprecated: use propagationPolicy.'),
  query('propagationPolicy', 'string', 'Background, Foreground or Orphan.'),
]

const PARAMETERS: Record<Verb, Parameter[]> = {
  create: WRITE,
  delete: DELETE,
  deletecollection: [...SELECTORS, ...DELETE],
  get: [],
  list: LIST,
  patch: WRITE,
  update: WRITE,
}

/** The path of an endpoint as OpenAPI writes it. */
export function pathOf({ url }: Endpoint): string {
  return url.replaceAll(/:(\w+)/g, '{$1}')
}

/** Parameters that all operations of a path share. */
export function pathParameters({ url }: Endpoint): Parameter[] {
  return [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    description: `${name} of the object`,
    required: true,
    schema: { type: 'string' },
  }))
}

/** The operation at an endpoint. */
export function operationOf(endpoint: Endpoint): Operation {
  const { kind, verb } = endpoint
  const { group, version } = kind
  const body = requestBodyOf(endpoint)
  return {
    tags: [`${group || 'core'}_${version}`],
    description: describe(endpoint),
    operationId: operationId(endpoint),
    parameters: PARAMETERS[verb],
    ...(body && { requestBody: body }),
    responses: responsesOf(endpoint),
    'x-kubernetes-action': ACTIONS[verb],
    'x-kubernetes-group-version-kind': { group, version, kind: kind.kind },
  }
}

function describe({ kind, verb, subresource }: Endpoint): string {
  const what = subresource ? `${subresource} of the specified ${kind.kind}` : kind.kind
  switch (verb) {
    case 'list':
      return `list or watch objects of kind ${kind.kind}`
    case 'deletecollection':
      return `delete collection of ${kind.kind}`
    default:
      return `${verb} ${what}`
  }
}

function operationId({ kind, verb, subresource, url }: Endpoint): string {
  const scope = url.includes(':namespace/') ? 'Namespaced' : kind.namespaced ? 'AllNamespaces' : ''
  return [verb, kind.group || 'core', kind.version, scope, kind.kind, subresource ?? '']
    .filter(Boolean)
    .join('_')
}

function requestBodyOf({ kind, verb }: Endpoint): Operation | undefined {
  switch (verb) {
    case 'create':
    case 'update':
      return {
        required: true,
        content: contentOf(['application/json', 'application/yaml'], refTo(kind.schema)),
      }
    case 'patch':
      return { required: true, content: contentOf(patchMediaTypes(patchTypesOf(kind)), patchSchema()) }
    case 'delete':
    case 'deletecollection':
      return { content: contentOf(['application/json', 'application/yaml'], refTo(`${META}.DeleteOptions`)) }
    default:
      return undefined
  }
}

function patchSchema(): Schema {
  return { description: 'A change, in the form its media type says.' }
}

function contentOf(mediaTypes: readonly string[], schema: Schema): Operation {
  return Object.fromEntries(mediaTypes.map((mediaType) => [mediaType, { schema }]))
}

function responsesOf({ kind, verb }: Endpoint): Operation {
  const schema = refTo(answerOf(kind, verb))
  const code = verb === 'create' ? '201' : '200'
  const content = contentOf(['application/json', 'application/yaml'], schema)
  return { [code]: { description: code === '201' ? 'Created' : 'OK', content } }
}

function answerOf(kind: Kind, verb: Verb): string {
  switch (verb) {
    case 'list':
    case 'deletecollection':
      return listSchemaName(kind)
    case 'delete':
      return `${META}.Status`
    default:
      return kind.schema
  }
}

/** The name of the schema of a kind's lists. */
export function listSchemaName({ schema }: Kind): string {
  return `${schema}List`
}

/** The schema of a kind's lists. */
export function listSchemaOf(kind: Kind): Schema {
  const text: Schema = { type: 'string' }
  return {
    type: 'object',
    description: `A list of objects of kind ${kind.kind}.`,
    properties: {
      apiVersion: text,
      kind: text,
      metadata: refTo(`${META}.ListMeta`),
      items: { type: 'array', items: refTo(kind.schema) },
    },
    required: ['items'],
    'x-kubernetes-group-version-kind': [
      { group: kind.group, version: kind.version, kind: `${kind.kind}List` },
    ],
  }
}
