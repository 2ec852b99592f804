import { refTo, type Definitions, type Schema } from '../../lib/schema/schema.ts'

/**
 * OpenAPI v2 of all kinds: their definitions alone. For programs that read no newer form; operations are in v3.
 *
 * Source: OpenAPI Specification 2.0, which has no `oneOf`.
 */
export function buildOpenApiV2(definitions: Definitions, version: string): object {
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version },
    paths: {},
    definitions: Object.fromEntries(
      Object.entries(definitions).map(([name, schema]) => [name, convert(schema)]),
    ),
  }
}

const [V3_PREFIX, V2_PREFIX] = [refTo('').$ref, '#/definitions/']

function convert(schema: Schema): Schema {
  const { oneOf, $ref, allOf, properties, items, additionalProperties, ...rest } = schema
  return {
    ...rest,
    ...(oneOf && { type: 'string' as const }),
    ...($ref !== undefined && { $ref: $ref.replace(V3_PREFIX, V2_PREFIX) }),
    ...(allOf && { allOf: allOf.map(convert) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, member]) => [name, convert(member)]),
      ),
    }),
    ...(items && { items: convert(items) }),
    ...(additionalProperties && { additionalProperties: convert(additionalProperties) }),
  }
}
