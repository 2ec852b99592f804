import { scalarCheckOf, type ScalarCheck } from './scalars.ts'
import { nameOfRef, type Definitions, type Schema } from './schema.ts'

/** A schema made ready for checking: references are followed, descriptions are gone. */
export type Node =
  | { kind: 'any' }
  | { kind: 'scalar'; check: ScalarCheck }
  | { kind: 'list'; items: Node }
  | { kind: 'map'; values: Node }
  | ObjectNode

/** An object whose members are known. */
export interface ObjectNode {
  kind: 'object'
  members: Map<string, Node>
  required: readonly string[]
  /** Keeps members that it does not know. */
  isOpen: boolean
}

const ANY: Node = { kind: 'any' }

/** Makes the schemas of those names ready. Throws where one that is needed is missing. */
export function compileSchemas(definitions: Definitions, names: readonly string[]): Map<string, Node> {
  const compiled = new Map<string, Node>()
  // Thousands of members share a few dozen scalars.
  const scalars = new Map<string, Node>()

  function compileNamed(name: string): Node {
    const known = compiled.get(name)
    if (known) return known
    const schema = definitions[name]
    if (!schema) throw new Error(`there is no schema called ${name}`)
    if (!schema.properties) return remember(name, compile(schema))
    // Remembered before its members are compiled: one of them may lead back here.
    const node = emptyObject(schema)
    remember(name, node)
    fill(node, schema)
    return node
  }

  function remember(name: string, node: Node): Node {
    compiled.set(name, node)
    return node
  }

  function compile(schema: Schema): Node {
    const name = nameOfRef(schema)
    if (name !== undefined) return compileNamed(name)
    if (schema.items) return { kind: 'list', items: compile(schema.items) }
    if (schema.additionalProperties) return { kind: 'map', values: compile(schema.additionalProperties) }
    if (schema.type === 'object') return compileObject(schema)
    return compileScalar(schema)
  }

  function compileObject(schema: Schema): Node {
    if (!schema.properties && schema['x-kubernetes-preserve-unknown-fields']) return ANY
    const node = emptyObject(schema)
    fill(node, schema)
    return node
  }

  function fill(node: ObjectNode, { properties = {} }: Schema): void {
    for (const [name, schema] of Object.entries(properties)) node.members.set(name, compile(schema))
  }

  function compileScalar(schema: Schema): Node {
    const { type, format, enum: words } = schema
    const key = JSON.stringify([type, format, words])
    const known = scalars.get(key)
    if (known) return known
    const check = scalarCheckOf(schema)
    const node: Node = check ? { kind: 'scalar', check } : ANY
    scalars.set(key, node)
    return node
  }

  for (const name of names) compileNamed(name)
  return compiled
}

function emptyObject(schema: Schema): ObjectNode {
  return {
    kind: 'object',
    members: new Map(),
    required: schema.required ?? [],
    isOpen: schema['x-kubernetes-preserve-unknown-fields'] ?? false,
  }
}
