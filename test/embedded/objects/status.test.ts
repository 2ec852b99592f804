import { afterEach, beforeEach, expect, test } from 'vitest'
import { NODES, VMS } from '../../../src/kinds/table.ts'
import { ADMIN, openRegistry } from '../../helpers/object-registry.ts'
import { draftOf, vm } from '../../helpers/quotas.ts'

let registry: Awaited<ReturnType<typeof openRegistry>>

beforeEach(async () => {
  registry = await openRegistry()
})
afterEach(() => registry[Symbol.dispose]())

const NOTE = { note: 'mine' }

test("Kubernetes' own kinds take labels and annotations with a status, and no spec", async () => {
  const store = registry.api.as(ADMIN)
  const made = await store.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } })
  const metadata = { ...made.metadata, annotations: NOTE, labels: NOTE, finalizers: ['example.com/no'] }
  const changed = { ...made, metadata, spec: { unschedulable: true }, status: { nodeInfo: {} } }
  const stored = await store.update(NODES, changed, { subresource: 'status' })
  expect(stored.metadata).toMatchObject({ annotations: NOTE, labels: NOTE })
  expect(stored.metadata.finalizers).toBeUndefined()
  expect(stored.spec).toBeUndefined()
  expect(stored.status).toEqual({ nodeInfo: {} })
})

test('custom kinds take the status alone', async () => {
  const store = registry.api.as(ADMIN)
  const made = await store.create(VMS, draftOf(vm('a')))
  const changed = { ...made, metadata: { ...made.metadata, annotations: NOTE }, status: { ready: true } }
  const stored = await store.update(VMS, changed, { subresource: 'status' })
  expect(stored.metadata.annotations).toBeUndefined()
  expect(stored.status).toEqual({ ready: true })
})
