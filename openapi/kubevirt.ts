/**
 * Schemas of KubeVirt's kinds and of DataVolume: what `kubevirt-types.txt` says; descriptions, required members and all
 * other types from @kubevirt-ui-ext/kubevirt-api.
 */
import type { Kind } from '../src/kinds/kind.ts'
import { refTo, type Definitions, type Schema } from '../src/lib/schema/schema.ts'
import { describe } from './built-in.ts'
import type { Catalogue, Member } from './catalogue.ts'
import { CONDITION_TIMES, FORMS, FRACTIONS, OPEN } from './corrections.ts'
import { builtInName, DURATION, INT_OR_STRING, metaName, QUANTITY, TIME } from './names.ts'
import { readTypes, typeOfRef, type GeneratedSchema, type TypeSource } from './typescript.ts'

const PACKAGE = 'node_modules/@kubevirt-ui-ext/kubevirt-api/dist'

/** What the prefixes of the catalogue stand for. */
const PREFIXES: Record<string, string> = {
  '': 'v1',
  backup: 'v1alpha1',
  cdi: 'v1beta1',
  clone: 'v1beta1',
  export: 'v1beta1',
  it: 'v1beta1',
  mp: 'v1alpha1',
  pool: 'v1beta1',
  snap: 'v1beta1',
}

/** Definitions of the kinds that the packages have. */
export function buildKubeVirt(kinds: readonly Kind[], catalogue: Catalogue): Definitions {
  const isImporter = ({ group }: Kind) => group === 'cdi.kubevirt.io'
  const types = new Map([
    ...readTypes(kinds.filter(isImporter).map(sourceIn('containerized-data-importer'))),
    ...readTypes(kinds.filter((kind) => !isImporter(kind)).map(sourceIn('kubevirt'))),
  ])
  const definitions: Definitions = {}
  for (const [type, schema] of types) {
    if (type !== 'Roots' && isOwn(type) && schema.properties)
      definitions[nameOf(type)] = convert(type, schema)
  }
  for (const [name, members] of catalogue) {
    if (!isForeign(name)) definitions[catalogueName(name)] = merge(members, definitions[catalogueName(name)])
  }
  return definitions
}

function sourceIn(part: string): (kind: Kind) => TypeSource {
  // By the schema, whose version is not always the one that is served.
  return ({ schema }) => ({
    type: schema.replace(/^v/, 'V').replace('.', ''),
    module: `${PACKAGE}/${part}/index.js`,
  })
}

const FOREIGN = /^(core|meta)\./

function isForeign(name: string): boolean {
  return FOREIGN.test(name)
}

/** Core types that KubeVirt's refer to, without their version. */
export function coreTypesOf(catalogue: Catalogue): string[] {
  return [...catalogue.keys()]
    .filter((name) => name.startsWith('core.'))
    .map((name) => name.slice('core.'.length))
}

/** Kubernetes' own types, which the package has copies of, and types of CDI under the names of core types. */
const CORE = /^K8sIoApi(?:CoreV1|machineryPkgApisMetaV1)(?<bare>.+)$/
const CDI_CORE = new Set([
  'V1PersistentVolumeClaimSpec',
  'V1ObjectMeta',
  'V1LabelSelector',
  'V1VolumeResourceRequirements',
])

function isOwn(type: string): boolean {
  return !CORE.test(type) && !CDI_CORE.has(type)
}

function nameOf(type: string): string {
  const core = CORE.exec(type)?.groups?.['bare'] ?? (CDI_CORE.has(type) ? type.slice('V1'.length) : undefined)
  if (core !== undefined) {
    const isMeta = type.includes('Meta') || core === 'LabelSelector'
    return isMeta ? metaName(core) : builtInName('core', 'v1', core)
  }
  const [, version = '', bare = ''] = /^(V\d+(?:(?:alpha|beta)\d+)?)(.+)$/.exec(type) ?? []
  if (version === '') throw new Error(`the type ${type} does not say its version`)
  return `${version.toLowerCase()}.${bare}`
}

function convert(owner: string, { properties = {}, required, description }: GeneratedSchema): Schema {
  const members = Object.entries(properties).map(([name, property]): [string, Schema] => {
    const wire = name.replace(/^_/, '')
    return [wire, describe(convertMember(`${owner}.${wire}`, property), property.description)]
  })
  if (owner.endsWith('Condition'))
    members.push(...CONDITION_TIMES.map((name): [string, Schema] => [name, refTo(TIME)]))
  return {
    type: 'object',
    ...(description && { description }),
    properties: Object.fromEntries(members),
    ...(required && { required: required.map((name) => name.replace(/^_/, '')) }),
    ...(OPEN.has(nameOf(owner)) && { 'x-kubernetes-preserve-unknown-fields': true as const }),
  }
}

function convertMember(path: string, schema: GeneratedSchema): Schema {
  const form = FORMS[path]
  if (form) return convertCatalogueType(form)
  if (FRACTIONS.has(path)) return { type: 'number' }
  return convertSchema(path, schema)
}

function convertSchema(path: string, schema: GeneratedSchema): Schema {
  const type = typeOfRef(schema)
  // Names of sets of words end so; the words are in the description, and a newer version may know more of them.
  if (type?.endsWith('Enum')) return { type: 'string' }
  if (type !== undefined) return refTo(nameOf(type))
  switch (schema.type) {
    case 'string':
    case 'boolean':
      return { type: schema.type }
    case 'number':
      return { type: 'integer' }
    case 'array':
      return { type: 'array', items: convertSchema(path, schema.items ?? {}) }
    case 'object':
      return convertObject(path, schema)
    default:
      return { 'x-kubernetes-preserve-unknown-fields': true }
  }
}

/** The package writes types without members as `object`. */
function convertObject(path: string, { additionalProperties }: GeneratedSchema): Schema {
  return typeof additionalProperties === 'object'
    ? { type: 'object', additionalProperties: convertSchema(path, additionalProperties) }
    : { type: 'object' }
}

function merge(members: Member[], packaged: Schema | undefined): Schema {
  const required = members
    .filter(({ name, isRequired }) => isRequired || packaged?.required?.includes(name))
    .map(({ name }) => name)
  return {
    type: 'object',
    ...(packaged?.description && { description: packaged.description }),
    properties: Object.fromEntries(
      members.map((member) => [
        member.name,
        describe(convertCatalogueMember(member), packaged?.properties?.[member.name]?.description),
      ]),
    ),
    ...(required.length > 0 && { required }),
  }
}

function convertCatalogueMember({ type, enum: words }: Member): Schema {
  return { ...convertCatalogueType(type), ...(words && { enum: words }) }
}

function convertCatalogueType(type: string): Schema {
  const list = /^\[(.*)\]$/.exec(type)?.[1]
  if (list) return { type: 'array', items: convertCatalogueType(list) }
  const map = /^\{(.*)\}$/.exec(type)?.[1]
  if (map) return { type: 'object', additionalProperties: convertCatalogueType(map) }
  switch (type) {
    case 'str':
      return { type: 'string' }
    case 'bool':
      return { type: 'boolean' }
    case 'i32':
      return { type: 'integer', format: 'int32' }
    case 'int64':
      return { type: 'integer', format: 'int64' }
    case 'u32':
      return { type: 'integer', format: 'uint32' }
    case 'u64':
      return { type: 'integer', format: 'uint64' }
    case 'qty':
      return refTo(QUANTITY)
    case 'time':
      return refTo(TIME)
    case 'duration':
      return refTo(DURATION)
    case 'intstr':
      return refTo(INT_OR_STRING)
    case 'obj':
      return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    default:
      return refTo(catalogueName(type.replace(/^&/, '')))
  }
}

/** The definition that a name of the catalogue stands for. */
export function catalogueName(name: string): string {
  const [, prefix = '', bare = ''] = /^(?:(\w+)\.)?(\w+)$/.exec(name) ?? []
  if (prefix === 'core') return builtInName('core', 'v1', bare)
  if (prefix === 'meta') return metaName(bare)
  const version = PREFIXES[prefix]
  if (version === undefined) throw new Error(`nobody knows the prefix of ${name}`)
  return `${version}.${bare}`
}
