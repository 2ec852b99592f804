/** The OpenAPI documents of the subresource group, read from the subresources. Source: contract 1.9. */
import type { FieldTypes } from '../subresources/body.ts'
import type { Action, Subresource } from '../subresources/subresource.ts'
import { GROUP, VERSIONS } from './group.ts'

/** A part of a document; what is in it is OpenAPI's. */
export type Json = { [name: string]: unknown }

/** The documents: v2 for all, v3 by version of the group. */
export interface OpenApi {
  v2: Json
  v3: Record<string, Json>
}

/** Builds both kinds of document. `gitVersion` names the program that serves them. */
export function buildSubresourceOpenApi(subresources: readonly Subresource[], gitVersion: string): OpenApi {
  const info = { title: 'KubeVirt subresource API', version: gitVersion }
  const [preferred] = VERSIONS
  return {
    v2: {
      swagger: '2.0',
      info,
      paths: pathsOf(preferred, subresources, v2Operation),
      definitions: schemasOf(preferred, subresources),
    },
    v3: Object.fromEntries(
      VERSIONS.map((version) => [
        version,
        {
          openapi: '3.0.0',
          info,
          paths: pathsOf(version, subresources, v3Operation),
          components: { schemas: schemasOf(version, subresources) },
        },
      ]),
    ),
  }
}

type BuildOperation = (version: string, subresource: Subresource) => Json

function pathsOf(version: string, subresources: readonly Subresource[], build: BuildOperation): Json {
  return Object.fromEntries(
    subresources.map((subresource) => {
      const { resource, name, method } = subresource
      const path = `/apis/${GROUP}/${version}/namespaces/{namespace}/${resource.plural}/{name}/${name}`
      return [path, { [method.toLowerCase()]: build(version, subresource) }]
    }),
  )
}

function v3Operation(version: string, subresource: Subresource): Json {
  const schema = { $ref: `#/components/schemas/${schemaName(version, subresource)}` }
  return {
    ...operationHead(version, subresource),
    parameters: parametersOf(subresource).map(({ type, ...parameter }) => ({
      ...parameter,
      schema: { type },
    })),
    ...(subresource.method === 'PUT' && { requestBody: { content: { '*/*': { schema } } } }),
  }
}

function v2Operation(version: string, subresource: Subresource): Json {
  const schema = { $ref: `#/definitions/${schemaName(version, subresource)}` }
  const body = { name: 'body', in: 'body', schema }
  return {
    ...operationHead(version, subresource),
    consumes: ['*/*'],
    produces: ['application/json'],
    schemes: ['https'],
    parameters: [...parametersOf(subresource), ...(subresource.method === 'PUT' ? [body] : [])],
  }
}

function operationHead(version: string, subresource: Subresource): Json {
  const { resource, name, description, kind, method } = subresource
  return {
    operationId: `${version}${resource.singular}-${name.replaceAll('/', '-')}`,
    description,
    tags: [`${GROUP}_${version}`],
    responses: responsesOf(subresource),
    'x-kubernetes-action': method === 'GET' ? 'connect' : 'put',
    'x-kubernetes-group-version-kind': { group: GROUP, version, kind },
  }
}

const REFUSALS = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}
const SUCCESSES = { 101: 'Switching Protocols', 200: 'OK', 202: 'Accepted' }

function responsesOf(subresource: Subresource): Json {
  const success = subresource.method === 'GET' ? 101 : subresource.success
  const codes: [string, string][] = [[String(success), SUCCESSES[success]], ...Object.entries(REFUSALS)]
  return Object.fromEntries(codes.map(([code, description]) => [code, { description }]))
}

interface Parameter {
  name: string
  in: 'path' | 'query'
  required?: true
  description: string
  type: string
}

function parametersOf(subresource: Subresource): Parameter[] {
  const { singular } = subresource.resource
  const query =
    subresource.method === 'PUT'
      ? { dryRun: { type: 'string', description: 'With "All", check everything and change nothing.' } }
      : (subresource.parameters ?? {})
  return [
    {
      name: 'namespace',
      in: 'path',
      required: true,
      description: `Namespace of the ${singular}.`,
      type: 'string',
    },
    { name: 'name', in: 'path', required: true, description: `Name of the ${singular}.`, type: 'string' },
    ...Object.entries(query).map(([name, rest]): Parameter => ({ name, in: 'query', ...rest })),
  ]
}

const FIELD_SCHEMAS: Record<keyof FieldTypes, Json> = {
  boolean: { type: 'boolean' },
  string: { type: 'string' },
  strings: { type: 'array', items: { type: 'string' } },
  integer: { type: 'integer', format: 'int64' },
}

function schemasOf(version: string, subresources: readonly Subresource[]): Json {
  const actions = subresources.filter((subresource): subresource is Action => subresource.method === 'PUT')
  return Object.fromEntries(
    actions.map((action) => [
      schemaName(version, action),
      {
        type: 'object',
        description: `Options of ${action.name}.`,
        properties: Object.fromEntries(
          Object.entries(action.fields).map(([name, type]) => [name, FIELD_SCHEMAS[type]]),
        ),
        'x-kubernetes-group-version-kind': [{ group: GROUP, version, kind: action.kind }],
      },
    ]),
  )
}

function schemaName(version: string, { kind }: Subresource): string {
  return `${version}.${kind}`
}
