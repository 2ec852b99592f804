/**
 * Schemas of Kubernetes' own kinds, from the models of @kubernetes/client-node: descriptions and required members from
 * their types, formats from what they say of themselves at run time.
 */
import * as models from '@kubernetes/client-node'
import type { Kind } from '../src/kinds/kind.ts'
import { refTo, type Definitions, type Schema } from '../src/lib/schema/schema.ts'
import { CORE_QUANTITIES } from './corrections.ts'
import { builtInName, INT_OR_STRING, metaName, MICRO_TIME, QUANTITY, TIME } from './names.ts'
import { readTypes, typeOfRef, type GeneratedSchema } from './typescript.ts'

/** One file a type: the whole of the package takes five seconds to read. */
const MODELS = 'node_modules/@kubernetes/client-node/dist/gen/models'

/** Types of `meta/v1` among the models, which do not say which group they are of. */
const META_TYPES = new Set([
  'DeleteOptions',
  'ListMeta',
  'ObjectMeta',
  'OwnerReference',
  'ManagedFieldsEntry',
  'LabelSelector',
  'LabelSelectorRequirement',
  'Condition',
  'Preconditions',
  'Status',
  'StatusCause',
  'StatusDetails',
])

/** Models that are one value each. */
const SCALAR_MODELS = new Set(['IntOrString', 'V1MicroTime'])

/** What a model says of one of its members. */
interface Attribute {
  baseName: string
  type: string
  format: string
}

/** What requests and answers hold beside objects. */
const ENVELOPES = ['DeleteOptions', 'ListMeta', 'Status']

/** Definitions of the built-in kinds, of further core types, and of what requests and answers hold. */
export function buildBuiltIn(kinds: readonly Kind[], coreTypes: readonly string[]): Definitions {
  const roots = kinds.map((kind) => ({ type: modelOf(kind), group: groupOf(kind) }))
  const wanted = [
    ...roots,
    ...[...coreTypes, ...ENVELOPES].map((type) => ({ type: `V1${type}`, group: 'core' })),
  ]
  const types = readTypes(wanted.map(({ type }) => ({ type, module: `${MODELS}/${type}.js` })))
  const groups = assignGroups(wanted, types)
  const definitions: Definitions = {}
  for (const [type, schema] of types) {
    if (type !== 'Roots' && !SCALAR_MODELS.has(type))
      definitions[nameOf(type, groups)] = convert(type, schema, groups)
  }
  return definitions
}

/** Models are called by version and kind; where two groups have the same, one carries its group, too. */
function modelOf({ group, version, kind }: Kind): string {
  const plain = `${version.replace(/^v/, 'V')}${kind}`
  return group === '' && kind === 'Event' ? 'CoreV1Event' : plain
}

function groupOf({ group }: Kind): string {
  return group.split('.', 1)[0] || 'core'
}

/** A nested type is of the group of whatever refers to it. */
function assignGroups(
  roots: { type: string; group: string }[],
  types: Map<string, GeneratedSchema>,
): Map<string, string> {
  const groups = new Map<string, string>()
  const visit = (type: string, group: string): void => {
    if (groups.has(type)) return
    groups.set(type, group)
    for (const child of Object.values(types.get(type)?.properties ?? {})) {
      const found = typeOfRef(child) ?? typeOfRef(child.items ?? {})
      if (found) visit(found, group)
    }
  }
  for (const { type, group } of roots) visit(type, group)
  return groups
}

function nameOf(type: string, groups: Map<string, string>): string {
  if (type === 'V1MicroTime') return MICRO_TIME
  const [, version = '', bare = ''] = /^(?:Core)?(V\d+(?:(?:alpha|beta)\d+)?)(.+)$/.exec(type) ?? []
  if (META_TYPES.has(bare)) return metaName(bare)
  return builtInName(groups.get(type) ?? 'core', version.toLowerCase(), bare)
}

function convert(
  type: string,
  { properties = {}, required, description }: GeneratedSchema,
  groups: Map<string, string>,
): Schema {
  const attributes = attributesOf(type)
  const members = Object.entries(properties).map(([name, property]): [string, Schema] => {
    const attribute = attributes.find(({ baseName }) => baseName === wireName(name))
    if (!attribute) throw new Error(`the model ${type} says nothing of its member ${name}`)
    const schema = convertMember(type, attribute, groups)
    return [attribute.baseName, describe(schema, property.description)]
  })
  return {
    type: 'object',
    ...(description && { description: unquote(description) }),
    properties: Object.fromEntries(members),
    ...(required && { required: required.map(wireName) }),
  }
}

/** The generator of the models renames what is a word of TypeScript. */
function wireName(name: string): string {
  return name.replace(/^_/, '')
}

function attributesOf(type: string): Attribute[] {
  const model: unknown = Reflect.get(models, type)
  if (typeof model !== 'function' || !('getAttributeTypeMap' in model))
    throw new Error(`no model is called ${type}`)
  // Every model has this static method; it is generated.
  return (model.getAttributeTypeMap as () => Attribute[])()
}

function convertMember(owner: string, attribute: Attribute, groups: Map<string, string>): Schema {
  if (CORE_QUANTITIES.has(`${owner}.${attribute.baseName}`)) {
    return { type: 'object', additionalProperties: refTo(QUANTITY) }
  }
  return convertType(attribute.type, attribute.format, groups)
}

/** A type in the models' own words, such as `Array<V1Taint>` or `{ [key: string]: string; }`. */
function convertType(type: string, format: string, groups: Map<string, string>): Schema {
  const list = /^(?:Array|Set)<(.*)>$/.exec(type)?.[1]
  if (list) return { type: 'array', items: convertType(list, format, groups) }
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1]
  if (map) return { type: 'object', additionalProperties: convertType(map, format, groups) }
  switch (type) {
    case 'string':
      return { type, ...(format && { format }) }
    case 'boolean':
      return { type }
    case 'number':
      return format === 'double' ? { type, format } : { type: 'integer', ...(format && { format }) }
    case 'Date':
      return refTo(TIME)
    case 'IntOrString':
      return refTo(INT_OR_STRING)
    case 'any':
    case 'object':
      return { 'x-kubernetes-preserve-unknown-fields': true }
    default:
      return refTo(nameOf(type, groups))
  }
}

/** Texts about Go: how a scalar is marshalled. What to write in it stands in `scalars.ts`. */
const ABOUT_GO =
  /^(?:Quantity is a fixed-point|(?:Time|Duration) is a wrapper|MicroTime is version|IntOrString is a type)/

/** A description beside what it describes; OpenAPI 3.0 ignores what stands beside a plain `$ref`. */
export function describe(schema: Schema, text: string | undefined): Schema {
  if (!text || ABOUT_GO.test(text)) return schema
  const description = unquote(text)
  return schema.$ref === undefined ? { ...schema, description } : { description, allOf: [schema] }
}

/** The models' comments were made of texts whose quotes are escaped. */
function unquote(text: string): string {
  return text.replaceAll("\\'", "'")
}
