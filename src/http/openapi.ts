/** The OpenAPI documents of the subresource group, read from the subresources. Source: contract 1.9. */
import type { Stream, Subresource } from '../subresources/subresource.ts'
import { GROUP, GROUP_ENDPOINTS, VERSIONS } from './group.ts'
import type { Json } from './kind-schemas.ts'
import {
  bodyOf,
  parametersOf,
  responsesOf,
  ticketResponses,
  type Operation,
  type Parameter,
} from './openapi-operations.ts'
import { buildSchemas, groupVersionKind } from './openapi-schemas.ts'
import { pathsOf } from './subresource-path.ts'

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
      paths: buildPaths(preferred, subresources, toV2),
      definitions: rename(buildSchemas(preferred, subresources)),
    },
    v3: Object.fromEntries(
      VERSIONS.map((version) => [
        version,
        {
          openapi: '3.0.0',
          info,
          paths: buildPaths(version, subresources, toV3),
          components: { schemas: buildSchemas(version, subresources) },
        },
      ]),
    ),
  }
}

/** v2 has no `nullable`. */
function rename(schemas: Json): Json {
  return JSON.parse(
    JSON.stringify(schemas, (name, value: unknown) => (name === 'nullable' ? undefined : value)),
  )
}

function buildPaths(
  version: string,
  subresources: readonly Subresource[],
  write: (operation: Operation) => Json,
): Json {
  const paths: Record<string, Json> = {}
  for (const name of GROUP_ENDPOINTS) {
    paths[`/apis/${GROUP}/${version}/${name}`] = { get: write(endpointOperation(version, name)) }
  }
  for (const subresource of subresources) {
    for (const path of pathsOf(version, subresource)) {
      const written = path.replaceAll(/:(\w+)/g, '{$1}')
      const method = subresource.method.toLowerCase()
      paths[written] = { ...paths[written], [method]: write(operationOf(version, subresource, path)) }
      if (subresource.type !== 'stream') continue
      paths[`${written}/ticket`] = { post: write(ticketOperation(version, subresource, path)) }
    }
  }
  return paths
}

function endpointOperation(version: string, name: string): Operation {
  return {
    id: `${version}-${name}`,
    description: `Read ${name}; open to everybody.`,
    version,
    parameters: [],
    responses: { 200: { description: 'OK', mediaType: 'application/json', schema: { type: 'object' } } },
    extensions: { 'x-kubernetes-action': 'get' },
  }
}

function operationOf(version: string, subresource: Subresource, path: string): Operation {
  const { description, method } = subresource
  const body = bodyOf(version, subresource)
  return {
    id: operationId(version, subresource, path),
    description,
    version,
    parameters: parametersOf(subresource, path),
    responses: responsesOf(version, subresource),
    extensions: {
      'x-kubernetes-action': method === 'PUT' ? 'put' : subresource.type === 'stream' ? 'connect' : 'get',
      'x-kubernetes-group-version-kind': groupVersionKind(version, subresource),
    },
    ...(body && { body }),
  }
}

function ticketOperation(version: string, stream: Stream, path: string): Operation {
  return {
    id: `${operationId(version, stream, path)}-ticket`,
    description: `Get a ticket with which a browser can do this once, within 30 s: ${stream.description}`,
    version,
    parameters: parametersOf(stream, path).filter((parameter) => parameter.in === 'path'),
    responses: ticketResponses(version),
    extensions: {
      'x-kubernetes-action': 'post',
      'x-kubernetes-group-version-kind': { group: GROUP, version, kind: 'StreamTicket' },
    },
  }
}

/** The parts of a path behind the subresource's name tell its paths apart. */
function operationId(version: string, { resource, name }: Subresource, path: string): string {
  const [, , , ...more] = path.split('/:')
  return [`${version}${resource?.singular ?? ''}`, name.replaceAll('/', '-'), ...more].join('-')
}

function headOf({ id, description, version, extensions }: Operation): Json {
  return { operationId: id, description, tags: [`${GROUP}_${version}`], ...extensions }
}

function toV3(operation: Operation): Json {
  const { parameters, responses, body } = operation
  return {
    ...headOf(operation),
    parameters: parameters.map(({ type, ...parameter }) => ({ ...parameter, schema: { type } })),
    responses: Object.fromEntries(
      Object.entries(responses).map(([code, { description, mediaType, schema }]) => [
        code,
        { description, ...(mediaType !== undefined && { content: { [mediaType]: { schema } } }) },
      ]),
    ),
    ...(body && { requestBody: { content: { '*/*': { schema: body } } } }),
  }
}

function toV2(operation: Operation): Json {
  const { parameters, responses, body } = operation
  const produced = new Set(Object.values(responses).flatMap(({ mediaType }) => mediaType ?? []))
  const all: (Parameter | Json)[] = body
    ? [...parameters, { name: 'body', in: 'body', schema: downgrade(body) }]
    : parameters
  return {
    ...headOf(operation),
    consumes: ['*/*'],
    produces: [...produced],
    schemes: ['https'],
    parameters: all,
    responses: Object.fromEntries(
      Object.entries(responses).map(([code, { description, schema }]) => [
        code,
        { description, ...(schema && { schema: downgrade(schema) }) },
      ]),
    ),
  }
}

/** A schema as v2 writes it. */
function downgrade(schema: Json): Json {
  const { $ref, format } = schema
  if (typeof $ref === 'string') return { $ref: $ref.replace('#/components/schemas/', '#/definitions/') }
  return format === 'binary' ? { type: 'file' } : schema
}
