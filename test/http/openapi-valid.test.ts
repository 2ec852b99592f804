import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { buildSubresourceOpenApi } from '../../src/http/openapi.ts'
import { subresources } from '../../src/subresources/index.ts'

const { v2, v3 } = buildSubresourceOpenApi(subresources, 'v1.9.0')

test.each([
  ['v2', v2] as const,
  ...Object.entries(v3).map(([version, document]) => [`v3 ${version}`, document] as const),
])('the OpenAPI document %s is valid by the schema of its version', async (_name, document) => {
  // A copy: the validator resolves references in place.
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  expect(errors).toBeUndefined()
  expect(valid).toBe(true)
})

test('a document without its paths is not', async () => {
  const { paths: _paths, ...broken } = structuredClone(v2)
  expect(await new Validator().validate(broken)).toMatchObject({ valid: false })
})
