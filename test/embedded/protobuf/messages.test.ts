import { expect, test } from 'vitest'
import { buildReviews } from '../../../src/auth/reviews/index.ts'
import { fieldsOf } from '../../../src/embedded/protobuf/messages/index.ts'
import type { Fields, Shape } from '../../../src/embedded/protobuf/shapes.ts'
import { loadSchemas } from '../../../src/embedded/schemas/load.ts'
import { apiVersionOf } from '../../../src/kinds/kind.ts'
import { KINDS } from '../../../src/kinds/table.ts'
import { nameOfRef, type Schema } from '../../../src/lib/schema/schema.ts'

const definitions = loadSchemas()
const builtIn = KINDS.filter((kind) => kind.builtIn)

/** What a field holds, so that a schema and a message can be told apart: `spec.taints[].key: string`. */
type Paths = Map<string, string>

function pathsOfSchema(schema: Schema, at: string, paths: Paths = new Map()): Paths {
  const name = nameOfRef(schema)
  const found = name === undefined ? schema : definitions[name]
  if (!found) throw new Error(`there is no schema called ${name}`)
  if (found.properties) {
    for (const [member, child] of Object.entries(found.properties))
      pathsOfSchema(child, `${at}.${member}`, paths)
  } else if (found.items) pathsOfSchema(found.items, `${at}[]`, paths)
  else if (found.additionalProperties) pathsOfSchema(found.additionalProperties, `${at}{}`, paths)
  else paths.set(at, found.format ?? (found.type === 'object' ? 'any' : found.type) ?? 'any')
  return paths
}

/** How OpenAPI spells them; integers are told apart by their size there. */
const SPELLING = {
  text: 'string',
  bytes: 'byte',
  flag: 'boolean',
  integer: 'integer',
  time: 'date-time',
  microTime: 'date-time',
  quantity: 'quantity',
  json: 'any',
  texts: 'array',
}

function pathsOfFields(fields: Fields, at: string, paths: Paths = new Map()): Paths {
  for (const [name, shape] of Object.values(fields)) pathsOfShape(shape, `${at}.${name}`, paths)
  return paths
}

function pathsOfShape(shape: Shape, at: string, paths: Paths): void {
  switch (shape.is) {
    case 'message':
      pathsOfFields(shape.fields, at, paths)
      break
    case 'list':
      pathsOfShape(shape.of, `${at}[]`, paths)
      break
    case 'map':
      pathsOfShape(shape.of, `${at}{}`, paths)
      break
    default:
      paths.set(at, SPELLING[shape.is])
  }
}

test.each(builtIn)('every field of $kind has its number, and the type that its schema gives it', (kind) => {
  const fields = fieldsOf(apiVersionOf(kind), kind.kind)
  if (!fields) throw new Error('its message is not known')
  const expected = pathsOfSchema({ $ref: `#/components/schemas/${kind.schema}` }, '')
  for (const own of ['.apiVersion', '.kind']) expected.delete(own)
  const normal = new Map([...expected].map(([path, type]) => [path, type.replace(/^int(32|64)$/, 'integer')]))
  expect(Object.fromEntries(pathsOfFields(fields, ''))).toEqual(Object.fromEntries(normal))
})

test('every review has a message', () => {
  // What they run is not asked for here.
  const none = {} as Parameters<typeof buildReviews>[0]
  const missing = buildReviews(none).filter(
    ({ group, version, kind }) => !fieldsOf(`${group}/${version}`, kind),
  )
  expect(missing).toEqual([])
  expect(fieldsOf('authentication.k8s.io/v1', 'TokenRequest')).toBeDefined()
})
