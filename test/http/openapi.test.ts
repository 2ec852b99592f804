/** No validator of OpenAPI is at hand: what one would find is looked for here, and Ajv reads the schemas. */
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { buildSubresourceOpenApi } from '../../src/http/openapi.ts'
import { pathsOf } from '../../src/http/subresource-path.ts'
import { isRecord } from '../../src/lib/json.ts'
import { subresources } from '../../src/subresources/index.ts'

const { v2, v3 } = buildSubresourceOpenApi(subresources, 'v1.9.0')
const documents: [string, Record<string, unknown>][] = [['v2', v2], ...Object.entries(v3)]

interface Operation {
  operationId: string
  description: string
  tags: string[]
  parameters: {
    name: string
    in: string
    required?: boolean
    description?: string
    type?: string
    schema?: object
  }[]
  responses: Record<string, { description: string }>
}

function operationsOf(
  document: Record<string, unknown>,
): [path: string, method: string, operation: Operation][] {
  const paths = document['paths'] as Record<string, Record<string, Operation>>
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  )
}

function refsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(refsIn)
  if (!isRecord(value)) return []
  const { $ref, ...rest } = value
  return [...(typeof $ref === 'string' ? [$ref] : []), ...Object.values(rest).flatMap(refsIn)]
}

function resolve(document: unknown, ref: string): unknown {
  return ref
    .slice(2)
    .split('/')
    .reduce<unknown>((at, part) => (isRecord(at) ? at[part] : undefined), document)
}

describe.each(documents)('the document %s', (name, document) => {
  test('has what every document must have', () => {
    expect(document['info']).toEqual({ title: 'KubeVirt subresource API', version: 'v1.9.0' })
    expect(name === 'v2' ? document['swagger'] : document['openapi']).toBe(name === 'v2' ? '2.0' : '3.0.0')
  })

  test('refers to nothing that is not there', () => {
    const refs = refsIn(document)
    expect(refs.length).toBeGreaterThan(subresources.length)
    expect(refs.filter((ref) => !ref.startsWith('#/') || resolve(document, ref) === undefined)).toEqual([])
  })

  test('calls no two operations by the same name', () => {
    const ids = operationsOf(document).map(([, , { operationId }]) => operationId)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
  })

  test('declares each variable part of a path once, and each parameter with a type', () => {
    for (const [path, method, { parameters }] of operationsOf(document)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, part]) => part)
      const declared = parameters.filter((one) => one.in === 'path')
      expect([path, method, declared.map((one) => one.name)]).toEqual([path, method, inPath])
      expect(declared.every(({ required }) => required)).toBe(true)
      const names = parameters.map((one) => `${one.in} ${one.name}`)
      expect(new Set(names).size, `${path} ${method}`).toBe(names.length)
      for (const one of parameters) expect(one.type ?? one.schema, `${path} ${one.name}`).toBeDefined()
    }
  })

  test('describes each answer', () => {
    for (const [path, method, { responses, description, tags }] of operationsOf(document)) {
      expect(Object.keys(responses).length, `${path} ${method}`).toBeGreaterThan(0)
      for (const [code, answer] of Object.entries(responses)) {
        expect(code).toMatch(/^[1-5]\d\d$/)
        expect(answer.description).not.toBe('')
      }
      expect([description, tags]).not.toContain('')
    }
  })

  test('has schemas that a validator can read', () => {
    const schemas = name === 'v2' ? document['definitions'] : resolve(document, '#/components/schemas')
    const ajv = new Ajv({ strict: false, validateFormats: false })
    const rewritten: Record<string, object> = JSON.parse(
      JSON.stringify(schemas).replaceAll(/#\/(components\/schemas|definitions)\//g, ''),
    )
    for (const [key, schema] of Object.entries(rewritten)) ajv.addSchema({ ...schema, $id: key })
    for (const key of Object.keys(rewritten)) {
      expect(() => ajv.getSchema(key)).not.toThrow()
    }
  })

  test('has every subresource of its version with the code that it answers', () => {
    const version = name === 'v2' ? 'v1' : name
    const operations = new Map(
      operationsOf(document).map(([path, method, one]) => [`${method} ${path}`, one]),
    )
    for (const subresource of subresources) {
      for (const path of pathsOf(version, subresource)) {
        const key = `${subresource.method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`
        const code = { action: 200, query: 200, download: 200, stream: 101 }[subresource.type]
        const wanted = subresource.type === 'action' ? subresource.success : code
        const succeeding = Object.keys(operations.get(key)?.responses ?? {}).filter((one) => one < '400')
        expect([key, succeeding]).toEqual([key, [String(wanted)]])
      }
    }
  })
})
