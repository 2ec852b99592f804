/**
 * Checks objects of Kubernetes' own kinds by the models of @kubernetes/client-node: that members are known and of the right
 * type. What is required they do not say at run time.
 */
import * as models from '@kubernetes/client-node'
import type { Manifest } from '../../apiservice/manifest.ts'
import { isRecord } from '../../src/lib/json.ts'

interface Attribute {
  baseName: string
  type: string
}

/** What is wrong with an object; `undefined` where there is no model of its kind. */
export function checkByModel(object: Manifest): string[] | undefined {
  const version = object.apiVersion.split('/').at(-1) ?? ''
  const type = `${version.replace(/^v/, 'V')}${object.kind}`
  const isKubernetes = /^(v1|(apps|batch|policy)\/v1|[a-z.]+\.k8s\.io\/v1)$/.test(object.apiVersion)
  if (!isKubernetes || !attributesOf(type)) return undefined
  return [...checkType(object, type, '')]
}

function attributesOf(type: string): Attribute[] | undefined {
  const model: unknown = Reflect.get(models, type)
  if (typeof model !== 'function' || !('getAttributeTypeMap' in model)) return undefined
  // Every model has this static method; it is generated.
  return (model.getAttributeTypeMap as () => Attribute[])()
}

function* checkType(value: unknown, type: string, path: string): Iterable<string> {
  const element = /^(?:Array|Set)<(.*)>$/.exec(type)?.[1]
  const entry = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1]
  if (element !== undefined) {
    if (!Array.isArray(value)) yield `${path}: is no list`
    else for (const [index, one] of value.entries()) yield* checkType(one, element, `${path}[${index}]`)
  } else if (entry !== undefined) {
    if (!isRecord(value)) yield `${path}: is no map`
    else for (const [key, one] of Object.entries(value)) yield* checkType(one, entry, `${path}[${key}]`)
  } else yield* checkNamed(value, type, path)
}

/** Kubernetes takes a number for a quantity, which the models call a text. */
const QUANTITIES = /\.(?:limits|requests)\[/

function* checkNamed(value: unknown, type: string, path: string): Iterable<string> {
  switch (type) {
    case 'any':
    case 'object':
      return
    case 'IntOrString':
      if (!Number.isInteger(value) && typeof value !== 'string') yield `${path}: is no number or text`
      return
    case 'Date':
    case 'string':
      if (typeof value !== 'string' && !(QUANTITIES.test(path) && typeof value === 'number'))
        yield `${path}: ${JSON.stringify(value)} is no text`
      return
    case 'boolean':
    case 'number':
      if (typeof value !== type) yield `${path}: ${JSON.stringify(value)} is no ${type}`
      return
    default:
      yield* checkMembers(value, type, path)
  }
}

function* checkMembers(value: unknown, type: string, path: string): Iterable<string> {
  const attributes = attributesOf(type)
  if (!attributes) throw new Error(`${path}: there is no model ${type}`)
  if (!isRecord(value)) {
    yield `${path}: is no object`
    return
  }
  for (const [name, member] of Object.entries(value)) {
    const attribute = attributes.find(({ baseName }) => baseName === name)
    if (attribute) yield* checkType(member, attribute.type, `${path}.${name}`)
    else yield `${path}.${name}: there is no such field`
  }
}
