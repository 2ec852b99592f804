import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { buildCrds, type CustomResourceDefinition } from '../../apiservice/crds/definition.ts'
import { buildCrdFiles } from '../../apiservice/crds/files.ts'
import { buildStructural, type StructuralSchema } from '../../apiservice/crds/structural.ts'
import { formatYaml } from '../../apiservice/files.ts'
import { loadSchemas } from '../../src/embedded/schemas/load.ts'
import { columnsOf } from '../../src/embedded/tables/table.ts'
import { KINDS, VM_POOLS, VMIRS, VMIS, VMS } from '../../src/kinds/table.ts'
import { refTo, type Schema } from '../../src/lib/schema/schema.ts'

const DIRECTORY = 'charts/virtgate/crds'
const custom = KINDS.filter(({ builtIn }) => !builtIn)
const files = buildCrdFiles(loadSchemas())
const crds = buildCrds(loadSchemas())

/** kube-apiserver refuses annotations beyond this, and `kubectl apply` keeps the whole object in one. */
const ANNOTATIONS_LIMIT = 256 * 1024

/** Formats that kube-apiserver knows and does not warn of. */
const FORMATS = new Set([undefined, 'byte', 'date-time', 'double', 'duration', 'int32', 'int64'])

function versionOf(crd: CustomResourceDefinition) {
  const [version] = crd.spec.versions
  if (!version) throw new Error(`${crd.metadata.name} has no version`)
  return version
}

function* schemasIn(schema: StructuralSchema, path: string): Iterable<[string, StructuralSchema]> {
  yield [path, schema]
  for (const [name, child] of Object.entries(schema.properties ?? {}))
    yield* schemasIn(child, `${path}.${name}`)
  if (schema.items) yield* schemasIn(schema.items, `${path}[]`)
  if (schema.additionalProperties) yield* schemasIn(schema.additionalProperties, `${path}{}`)
}

/** Schemas of all kinds in which something is wrong. */
function findWrong(isWrong: (schema: StructuralSchema) => boolean): string[] {
  return crds.flatMap((crd) =>
    [...schemasIn(versionOf(crd).schema.openAPIV3Schema, crd.spec.names.kind)]
      .filter(([, schema]) => isWrong(schema))
      .map(([path]) => path),
  )
}

function memberAt(schema: StructuralSchema, path: string): StructuralSchema | undefined {
  return path
    .split('.')
    .reduce<StructuralSchema | undefined>(
      (at, name) => (name === '[]' ? at?.items : at?.properties?.[name]),
      schema,
    )
}

function crdOf(kind: (typeof KINDS)[number]) {
  const crd = crds.find(({ metadata }) => metadata.name === `${kind.plural}.${kind.group}`)
  if (!crd) throw new Error(`${kind.kind} has no definition`)
  return versionOf(crd)
}

test('the files are those that npm run generate would write, and no others', () => {
  expect(readdirSync(DIRECTORY).toSorted()).toEqual([...files.keys()].toSorted())
  const outdated = [...files].filter(
    ([name, manifests]) => readFileSync(`${DIRECTORY}/${name}`, 'utf8') !== formatYaml(manifests),
  )
  expect(
    outdated.map(([name]) => name),
    'out of date: npm run generate',
  ).toEqual([])
})

test('each kind that Kubernetes does not have is defined once', () => {
  expect(
    crds.map(
      ({ spec }) => `${spec.names.kind} ${spec.group}/${spec.versions.map(({ name }) => name).join()}`,
    ),
  ).toEqual(custom.map(({ kind, group, version }) => `${kind} ${group}/${version}`))
})

test('every schema is structural: it has a type, or says that it takes anything', () => {
  const isTyped = (schema: StructuralSchema) =>
    schema.type !== undefined ||
    schema['x-kubernetes-int-or-string'] === true ||
    schema['x-kubernetes-preserve-unknown-fields'] === true
  expect(findWrong((schema) => !isTyped(schema))).toEqual([])
  expect(findWrong((schema) => '$ref' in schema || 'allOf' in schema || 'oneOf' in schema)).toEqual([])
  expect(findWrong((schema) => schema.type === 'array' && !schema.items)).toEqual([])
  expect(findWrong((schema) => Boolean(schema.properties && schema.additionalProperties))).toEqual([])
})

test('no format is one that Kubernetes would warn of', () => {
  expect(findWrong(({ format }) => !FORMATS.has(format))).toEqual([])
})

test('what tells the elements of a list apart is required in them', () => {
  const keysOf = (schema: StructuralSchema) =>
    (schema['x-kubernetes-list-map-keys'] ?? []) as readonly string[]
  expect(findWrong((schema) => keysOf(schema).length > 0)).toContain(
    'VirtualMachine.spec.template.spec.volumes',
  )
  expect(findWrong((schema) => keysOf(schema).some((key) => !schema.items?.required?.includes(key)))).toEqual(
    [],
  )
  expect(
    findWrong((schema) => keysOf(schema).some((key) => schema.items?.properties?.[key]?.type !== 'string')),
  ).toEqual([])
})

test('a required member is one of the members', () => {
  expect(
    findWrong(({ required = [], properties = {} }) => required.some((name) => !properties[name])),
  ).toEqual([])
})

test('nothing but keys is required in a status', () => {
  const status = memberAt(crdOf(VMIS).schema.openAPIV3Schema, 'status.migrationState.targetState')
  expect(status?.type).toBe('object')
  expect(status?.required).toBeUndefined()
  const condition = memberAt(crdOf(VMIS).schema.openAPIV3Schema, 'status.conditions.[]')
  expect(condition?.required).toEqual(['type'])
  expect(condition?.properties?.['lastProbeTime']).toMatchObject({ format: 'date-time', nullable: true })
})

test('metadata inside of a spec is kept as it is', () => {
  expect(memberAt(crdOf(VMS).schema.openAPIV3Schema, 'spec.template.metadata')).toMatchObject({
    type: 'object',
    nullable: true,
    'x-kubernetes-preserve-unknown-fields': true,
  })
  expect(memberAt(crdOf(VMS).schema.openAPIV3Schema, 'metadata')).toEqual({ type: 'object' })
})

test('a quantity is a number or a text of the right form', () => {
  const guest = memberAt(crdOf(VMIS).schema.openAPIV3Schema, 'spec.domain.memory.guest')
  expect(guest).toMatchObject({ 'x-kubernetes-int-or-string': true })
  const pattern = new RegExp(guest?.pattern ?? '')
  expect(['1Gi', '1.5G', '-1', '1e3', '.5'].filter((text) => !pattern.test(text))).toEqual([])
  expect(['', 'x', '1 Gi', '1gb'].filter((text) => pattern.test(text))).toEqual([])
})

test.each(custom)('$kind has the columns and the status of embedded mode', (kind) => {
  const { additionalPrinterColumns, subresources } = crdOf(kind)
  expect(additionalPrinterColumns.map(({ name }) => name)).toEqual(
    columnsOf(kind)
      .slice(1)
      .map(({ name }) => name),
  )
  expect(Boolean(subresources?.status)).toBe(kind.hasStatus)
})

test('what holds a number of guests can be scaled', () => {
  const scaled = custom.filter((kind) => crdOf(kind).subresources?.scale)
  expect(scaled).toEqual([VMIRS, VM_POOLS])
  for (const kind of scaled) {
    const schema = crdOf(kind).schema.openAPIV3Schema
    const paths = Object.values(crdOf(kind).subresources?.scale ?? {})
    expect(paths.map((path) => memberAt(schema, path.slice(1))?.type)).toEqual([
      'integer',
      'integer',
      'string',
    ])
  }
})

test('kubectl apply can keep each definition in its annotation', () => {
  const sizes = crds.map((crd): [string, number] => [
    String(crd.metadata.name),
    Buffer.byteLength(JSON.stringify(crd)),
  ])
  expect(sizes.filter(([, size]) => size > ANNOTATIONS_LIMIT * 0.9)).toEqual([])
})

test('a schema that leads back to itself is refused', () => {
  const definitions: Record<string, Schema> = {
    Tree: { type: 'object', properties: { spec: refTo('Node') } },
    Node: { type: 'object', properties: { children: { type: 'array', items: refTo('Node') } } },
  }
  expect(() => buildStructural(definitions, 'Tree')).toThrow('the schema Node leads back to itself')
})
