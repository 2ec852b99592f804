import { Ajv } from 'ajv'
import { assert, property, constantFrom, nat } from 'fast-check'
import { expect, test } from 'vitest'
import { openSchemas } from '../../../src/embedded/schemas/open.ts'
import { VMS } from '../../../src/kinds/table.ts'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import { helloVm } from '../../helpers/vms.ts'

/** Another implementation of JSON Schema judges by the same schemas: ours has to come to the same verdict. */
const schemas = openSchemas()
const ajv = new Ajv({ strict: false, validateFormats: false })
ajv.addSchema({ $id: 'all', components: { schemas: schemas.load() } })
const judge = ajv.compile({ $ref: `all#/components/schemas/${VMS.schema}` })

type Json = string | number | boolean | Json[] | { [key: string]: Json }

/** All places in a value, as paths of keys. */
function placesOf(value: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object') return [path]
  const entries: [string | number, Json][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value)
  return [path, ...entries.flatMap(([key, child]) => placesOf(child, [...path, key]))]
}

function replaceAt(value: Json, [key, ...rest]: (string | number)[], by: Json): Json {
  if (key === undefined) return by
  if (Array.isArray(value)) return value.map((item, at) => (at === key ? replaceAt(item, rest, by) : item))
  if (typeof value !== 'object') return value
  return { ...value, [key]: replaceAt(value[key] ?? '', rest, by) }
}

const vm = JSON.parse(JSON.stringify(helloVm('oracle')))
const places = placesOf(vm.spec)

test('the VM that is changed below is sound to both', () => {
  expect(judge(vm)).toBe(true)
  expect(schemas.check(VMS, vm).causes).toEqual([])
})

test('a value of any type at any place of a spec gets the same verdict from both', () => {
  // No text but a number's: formats such as quantities are ours alone to judge.
  const values = constantFrom<Json>(true, 7, '7', [], ['7'], {}, { '7': '7' }, { name: '7' })
  const cases = property(nat(places.length - 1), values, (place, value) => {
    const changed = { ...vm, spec: replaceAt(vm.spec, places[place] ?? [], value) } as KubeObject
    expect(schemas.check(VMS, changed).causes.length === 0).toBe(judge(changed))
  })
  assert(cases, { numRuns: 2000 })
})
