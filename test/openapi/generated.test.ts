import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readCatalogue } from '../../openapi/catalogue.ts'
import { buildSchemas, formatSchemas } from '../../openapi/schemas.ts'
import { KINDS } from '../../src/kinds/table.ts'
import { childrenOf, type Schema } from '../../src/lib/schema/schema.ts'

const file = 'openapi/generated/schemas.json'
const written = readFileSync(file, 'utf8')
const definitions: Record<string, Schema> = JSON.parse(written)

test('the schemas are those that npm run generate would write', { timeout: 60_000 }, () => {
  expect(formatSchemas(buildSchemas(KINDS)) === written, `${file} is out of date: npm run generate`).toBe(
    true,
  )
})

test('every required member is one of the members', () => {
  const wrong: string[] = []
  const visit = (name: string, schema: Schema): void => {
    for (const member of schema.required ?? []) {
      if (!schema.properties?.[member]) wrong.push(`${name}: ${member}`)
    }
    for (const child of childrenOf(schema)) visit(name, child)
  }
  for (const [name, schema] of Object.entries(definitions)) visit(name, schema)
  expect(wrong).toEqual([])
})

test('the types that KubeVirt 1.9 has renamed or added are there', () => {
  const members = (name: string) => Object.keys(definitions[name]?.properties ?? {})
  expect(members('v1.VirtualMachineInstanceStatus')).toContain('VSOCKCID')
  expect(members('v1.VirtualMachineInstanceCondition')).toEqual(
    expect.arrayContaining(['lastProbeTime', 'lastTransitionTime']),
  )
  expect(members('v1.KubeVirtCondition')).toContain('lastTransitionTime')
  expect(members('io.k8s.api.core.v1.HTTPGetAction')).toContain('port')
})

test('the catalogue has no type twice', () => {
  const lines = readFileSync('openapi/kubevirt-types.txt', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(readCatalogue().size).toBe(lines.length)
})
