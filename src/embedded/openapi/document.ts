import type { Kind } from '../../kinds/kind.ts'
import { reachableFrom, type Definitions } from '../../lib/schema/schema.ts'
import { endpointsOf } from '../http/endpoints.ts'
import { markMergeKeys } from './merge-keys.ts'
import {
  listSchemaName,
  listSchemaOf,
  operationOf,
  OPERATION_SCHEMAS,
  pathOf,
  pathParameters,
  type Operation,
} from './operations.ts'

/**
 * The OpenAPI v3 document of one version of one group. `definitions` are of all groups; what the kinds add to them is
 * written there.
 *
 * Source: "OpenAPI V3" in the Kubernetes API concepts.
 */
export function buildOpenApi(kinds: readonly Kind[], definitions: Definitions, version: string): object {
  for (const kind of kinds) addKind(kind, definitions)
  const roots = [...kinds.flatMap((kind) => [kind.schema, listSchemaName(kind)]), ...OPERATION_SCHEMAS]
  const names = reachableFrom(roots, definitions)
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version },
    paths: buildPaths(kinds),
    components: {
      schemas: Object.fromEntries(Object.entries(definitions).filter(([name]) => names.has(name))),
    },
  }
}

function addKind(kind: Kind, definitions: Definitions): void {
  const schema = definitions[kind.schema]
  if (!schema) throw new Error(`there is no schema called ${kind.schema}`)
  const { group, version } = kind
  schema['x-kubernetes-group-version-kind'] = [{ group, version, kind: kind.kind }]
  definitions[listSchemaName(kind)] = listSchemaOf(kind)
  if (kind.builtIn) markMergeKeys(kind, definitions)
}

function buildPaths(kinds: readonly Kind[]): Record<string, Operation> {
  const paths: Record<string, Operation> = {}
  for (const endpoint of kinds.flatMap(endpointsOf)) {
    const path = (paths[pathOf(endpoint)] ??= { parameters: pathParameters(endpoint) })
    path[endpoint.method.toLowerCase()] = operationOf(endpoint)
  }
  return paths
}
