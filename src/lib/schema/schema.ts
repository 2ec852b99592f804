/**
 * A schema as Kubernetes writes it in OpenAPI v3, as far as this program uses it. An object knows just the members
 * that are named, unless `additionalProperties` or `x-kubernetes-preserve-unknown-fields` says otherwise.
 */
export interface Schema {
  $ref?: string
  /** One `$ref`, so that a description may stand beside it. */
  allOf?: Schema[]
  /** Of scalars only: `format` says what they are. */
  oneOf?: Schema[]
  type?: 'array' | 'boolean' | 'integer' | 'number' | 'object' | 'string'
  format?: string
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  /** The values of a map. */
  additionalProperties?: Schema
  enum?: string[]
  'x-kubernetes-preserve-unknown-fields'?: true
  [extension: `x-${string}`]: unknown
}

/** Schemas by name; `$ref` names them as `#/components/schemas/NAME`. */
export type Definitions = Record<string, Schema>

const PREFIX = '#/components/schemas/'

/** A reference to a definition. */
export function refTo(name: string): Schema & { $ref: string } {
  return { $ref: `${PREFIX}${name}` }
}

/** The name of the definition that a schema refers to, if it does. */
export function nameOfRef({ $ref, allOf }: Schema): string | undefined {
  const ref = $ref ?? allOf?.[0]?.$ref
  return ref?.startsWith(PREFIX) ? ref.slice(PREFIX.length) : undefined
}

/** The schemas directly below one. */
export function* childrenOf({ properties = {}, items, additionalProperties }: Schema): Iterable<Schema> {
  yield* Object.values(properties)
  if (items) yield items
  if (additionalProperties) yield additionalProperties
}

/** The names of all definitions that some lead to, themselves included. Throws where one is missing. */
export function reachableFrom(roots: readonly string[], definitions: Definitions): Set<string> {
  const found = new Set<string>()
  const visit = (name: string): void => {
    if (found.has(name)) return
    const schema = definitions[name]
    if (!schema) throw new Error(`there is no schema called ${name}`)
    found.add(name)
    visitBelow(schema)
  }
  const visitBelow = (schema: Schema): void => {
    const name = nameOfRef(schema)
    if (name !== undefined) visit(name)
    for (const child of childrenOf(schema)) visitBelow(child)
  }
  for (const root of roots) visit(root)
  return found
}
