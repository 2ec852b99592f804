/**
 * Schemas as a CustomResourceDefinition takes them: "structural", without references.
 * Source: "Specifying a structural schema" in Kubernetes' page on CustomResourceDefinitions.
 */
import { DURATION, INT_OR_STRING, MICRO_TIME, OBJECT_META, QUANTITY, TIME } from '../../openapi/names.ts'
import { nameOfRef, type Definitions, type Schema } from '../../src/lib/schema/schema.ts'
import { isWhole, listKeysOf } from './lists.ts'

/** A structural schema, as far as our kinds need it. */
export interface StructuralSchema extends Omit<Schema, '$ref' | 'allOf' | 'oneOf'> {
  properties?: Record<string, StructuralSchema>
  items?: StructuralSchema
  additionalProperties?: StructuralSchema
  nullable?: true
  minimum?: number
  maximum?: number
  pattern?: string
}

/** As KubeVirt's own definitions have it. Source: `resource.Quantity` of Kubernetes. */
const QUANTITY_PATTERN = String.raw`^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`

/** Go clients write a moment that is not known as `null`. */
const MOMENT: StructuralSchema = { type: 'string', format: 'date-time', nullable: true }

/** What stands in place of a reference to them. */
const SCALARS: Record<string, StructuralSchema> = {
  [QUANTITY]: { 'x-kubernetes-int-or-string': true, pattern: QUANTITY_PATTERN },
  [INT_OR_STRING]: { 'x-kubernetes-int-or-string': true },
  [TIME]: MOMENT,
  [MICRO_TIME]: MOMENT,
  [DURATION]: { type: 'string', format: 'duration' },
  // Kubernetes looks after the metadata of the object itself alone. Go clients write `creationTimestamp: null` here.
  [OBJECT_META]: { type: 'object', nullable: true, 'x-kubernetes-preserve-unknown-fields': true },
}

/** Formats that Kubernetes does not know: it would warn of them. */
const UNSIGNED: Record<string, StructuralSchema> = {
  uint32: { type: 'integer', format: 'int64', minimum: 0, maximum: 2 ** 32 - 1 },
  uint64: { type: 'integer', minimum: 0 },
}

/** What the conversion knows of the place it is at. */
interface Place {
  definitions: Definitions
  /** The definitions it is inside of: a schema that leads back to itself cannot be written down. */
  inside: readonly string[]
  /** In what controllers fill in step by step: nothing is required but what tells elements of a list apart. */
  isLenient: boolean
}

/** The schema of a kind's objects. Throws where a definition is missing or leads back to itself. */
export function buildStructural(definitions: Definitions, name: string): StructuralSchema {
  const { properties = {}, required = [], description } = definitionOf(definitions, name)
  const members = Object.entries(properties).map(([member, schema]): [string, StructuralSchema] => {
    if (member === 'metadata') return [member, { type: 'object' }]
    return [member, convert(schema, { definitions, inside: [name], isLenient: member === 'status' })]
  })
  const demanded = required.filter((member) => member !== 'status')
  return {
    type: 'object',
    ...(description && { description }),
    properties: Object.fromEntries(members),
    ...(demanded.length > 0 && { required: demanded }),
  }
}

function definitionOf(definitions: Definitions, name: string): Schema {
  const schema = definitions[name]
  if (!schema) throw new Error(`there is no schema called ${name}`)
  return schema
}

function convert(schema: Schema, place: Place, keys?: readonly string[]): StructuralSchema {
  const name = nameOfRef(schema)
  if (name === undefined) return convertPlain(schema, place, '', keys)
  const description = schema.description ?? definitionOf(place.definitions, name).description
  return { ...convertNamed(name, place, keys), ...(description && { description }) }
}

function convertNamed(name: string, place: Place, keys?: readonly string[]): StructuralSchema {
  const scalar = SCALARS[name]
  if (scalar) return scalar
  if (place.inside.includes(name)) throw new Error(`the schema ${name} leads back to itself`)
  const within = { ...place, inside: [...place.inside, name] }
  const converted = convertPlain(definitionOf(place.definitions, name), within, name, keys)
  return isWhole(name) ? { ...converted, 'x-kubernetes-map-type': 'atomic' } : converted
}

/** `keys` tell the object apart from others of its list, so that it always has them. */
function convertPlain(
  schema: Schema,
  place: Place,
  owner: string,
  keys: readonly string[] = [],
): StructuralSchema {
  const { properties, items, additionalProperties, required = [], format, ...rest } = schema
  const demanded = place.isLenient ? keys : [...new Set([...required, ...keys])]
  return {
    ...rest,
    ...(format !== undefined && (UNSIGNED[format] ?? { format })),
    ...(properties && { properties: convertMembers(properties, place, owner) }),
    ...(demanded.length > 0 && { required: [...demanded] }),
    ...(items && { items: convert(items, place) }),
    ...(additionalProperties && { additionalProperties: convert(additionalProperties, place) }),
  }
}

function convertMembers(
  properties: Record<string, Schema>,
  place: Place,
  owner: string,
): Record<string, StructuralSchema> {
  return Object.fromEntries(
    Object.entries(properties).map(([member, schema]) => {
      const keys = schema.items && listKeysOf(owner, member)
      return [member, keys ? convertKeyed(schema, place, keys) : convert(schema, place)]
    }),
  )
}

function convertKeyed(
  { items = {}, ...list }: Schema,
  place: Place,
  keys: readonly string[],
): StructuralSchema {
  return {
    ...list,
    items: convert(items, place, keys),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [...keys],
  }
}
