import { expect, test } from 'vitest'
import type { Node } from '../../src/kinds/core.ts'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { NODES, VMIS } from '../../src/kinds/table.ts'
import { apiOf, put, vmiOf, vmOf } from '../helpers/api.ts'

const FORMS = ['/virtualmachines/vm1/evacuate/cancel', '/virtualmachineinstances/vm1/evacuate/cancel']
const created = vmOf({}, { created: true })
const leaving = (nodeName = 'n1') => vmiOf('Running', { status: { evacuationNodeName: nodeName } })

function nodeOf(taints: NonNullable<Node['spec']>['taints'] = []): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', uid: 'n1', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { taints },
  }
}

function evacuatingApi(
  objects: { vm?: Vm | undefined; vmi?: Vmi | undefined },
  node: Node | undefined = nodeOf(),
  configuration = {},
) {
  const api = apiOf({ ...objects, configuration })
  if (node) api.put(NODES, node)
  return { ...api, left: () => api.find(VMIS, 'ns1', 'vm1')?.status?.evacuationNodeName }
}

test.each(
  FORMS.flatMap((path) =>
    ['', '{}', '{"evacuationNodeName":""}', '{"evacuationNodeName":"n1"}'].map(
      (body) => [path, body] as const,
    ),
  ),
)('%s with the body %j withdraws the request', async (path, body) => {
  const { app, left } = evacuatingApi({ vm: created, vmi: leaving() })
  const response = await put(app, path, body)
  expect([response.statusCode, response.body, left()]).toEqual([200, '', undefined])
})

test.each(FORMS)('%s for another node than is set is refused', async (path) => {
  const { app, left } = evacuatingApi({ vm: created, vmi: leaving() })
  const response = await put(app, path, '{"evacuationNodeName":"n2"}')
  expect(response.json()).toMatchObject({ code: 409, reason: 'Conflict' })
  expect(left()).toBe('n1')
})

test.each(FORMS)('%s changes nothing in a dry run', async (path) => {
  const { app, patches } = evacuatingApi({ vm: created, vmi: leaving() })
  expect((await put(app, path, '{"dryRun":["All"]}')).statusCode).toBe(200)
  expect((await put(app, `${path}?dryRun=All`)).statusCode).toBe(200)
  expect(patches.map(({ dryRun }) => dryRun)).toEqual([true, true])
})

test('without a request there is nothing to do, whatever the body says', async () => {
  const { app, patches } = evacuatingApi({ vmi: vmiOf() })
  expect((await put(app, FORMS[1] ?? '', 'neither: [JSON')).statusCode).toBe(200)
  expect(patches).toEqual([])
})

test.each([
  ['the default key', 'kubevirt.io/drain', {}],
  ['a key of the configuration', 'empty', { migrations: { nodeDrainTaintKey: 'empty' } }],
])('a node that is drained by %s keeps the request', async (_which, key, configuration) => {
  const { app, left } = evacuatingApi(
    { vmi: leaving() },
    nodeOf([{ key, effect: 'NoSchedule' }]),
    configuration,
  )
  expect((await put(app, FORMS[1] ?? '')).json()).toMatchObject({ code: 400, reason: 'BadRequest' })
  expect(left()).toBe('n1')
})

test('a taint of another effect does not matter', async () => {
  const node = nodeOf([{ key: 'kubevirt.io/drain', effect: 'NoExecute' }])
  const { app } = evacuatingApi({ vmi: leaving() }, node)
  expect((await put(app, FORMS[1] ?? '')).statusCode).toBe(200)
})

const stranger = { ...leaving(), metadata: { ...leaving().metadata, ownerReferences: [] } }
test.each<[string, number, { vm?: Vm; vmi?: Vmi }, number, string]>([
  ['there is no VM', 0, { vmi: leaving() }, 404, 'NotFound'],
  ['the VM has no guest', 0, { vm: vmOf(), vmi: leaving() }, 409, 'Conflict'],
  ['there is no VMI', 0, { vm: created }, 404, 'NotFound'],
  ['there is no VMI', 1, {}, 404, 'NotFound'],
  ['the VMI is not its own', 0, { vm: created, vmi: stranger }, 409, 'Conflict'],
  ['its node does not exist', 0, { vm: created, vmi: leaving('n9') }, 500, 'InternalError'],
  ['its node does not exist', 1, { vmi: leaving('n9') }, 500, 'InternalError'],
])('refused where %s', async (_why, form, objects, code, reason) => {
  const { app } = evacuatingApi(objects)
  expect((await put(app, FORMS[form] ?? '')).json()).toMatchObject({ code, reason })
})

test('a node that does not exist is named', async () => {
  const { app, left } = evacuatingApi({ vmi: leaving('n9') })
  expect((await put(app, FORMS[1] ?? '')).json()).toMatchObject({
    message: expect.stringContaining(
      'the node "n9" of "vm1" does not exist, so that nothing says whether it is being drained',
    ),
  })
  expect(left()).toBe('n9')
})
