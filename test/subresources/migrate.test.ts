import { expect, test } from 'vitest'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { VMIMS } from '../../src/kinds/table.ts'
import { badRequest, forbidden } from '../../src/lib/errors.ts'
import type { WriteOptions } from '../../src/store/store.ts'
import { apiOf, put, vmiOf, vmOf } from '../helpers/api.ts'

const MIGRATE = '/virtualmachines/vm1/migrate'

function migratingApi(objects: { vm?: Vm | undefined; vmi?: Vmi | undefined }, refusal?: Error) {
  const api = apiOf(objects)
  const created: { kind: string; draft: unknown; options: WriteOptions | undefined }[] = []
  api.store.create = async (kind, draft, options) => {
    created.push({ kind: kind.plural, draft, options })
    if (refusal) throw refusal
    // Nobody looks at the answer.
    return draft as never
  }
  return { ...api, created }
}

test('migrate creates a migration of the running VMI, with the selector given', async () => {
  const { app, created } = migratingApi({ vm: vmOf(), vmi: vmiOf() })
  const response = await put(app, MIGRATE, '{"addedNodeSelector":{"disk":"ssd"}}')
  expect([response.statusCode, response.body]).toEqual([202, ''])
  expect(created).toEqual([
    {
      kind: VMIMS.plural,
      options: { dryRun: false },
      draft: {
        apiVersion: 'kubevirt.io/v1',
        kind: 'VirtualMachineInstanceMigration',
        metadata: { namespace: 'ns1', generateName: 'kubevirt-migrate-vm-' },
        spec: { vmiName: 'vm1', addedNodeSelector: { disk: 'ssd' } },
      },
    },
  ])
})

test.each([
  ['body', MIGRATE, '{"dryRun":["All"]}'],
  ['query', `${MIGRATE}?dryRun=All`, ''],
])('a dry run asked for in the %s has the store check alone', async (_where, path, body) => {
  const { app, created } = migratingApi({ vm: vmOf(), vmi: vmiOf() })
  expect((await put(app, path, body)).statusCode).toBe(202)
  expect(created[0]).toMatchObject({ options: { dryRun: true }, draft: { spec: { vmiName: 'vm1' } } })
})

const stranger = { ...vmiOf(), metadata: { ...vmiOf().metadata, ownerReferences: [] } }
test.each<[string, { vm?: Vm; vmi?: Vmi }, string, number, string, string | undefined]>([
  ['the body is malformed', {}, '{"addedNodeSelector":[]}', 400, 'BadRequest', undefined],
  ['a selector holds no text', {}, '{"addedNodeSelector":{"a":1}}', 400, 'BadRequest', undefined],
  [
    'the dry run is none',
    { vm: vmOf(), vmi: vmiOf() },
    '{"dryRun":["No"]}',
    422,
    'Invalid',
    'MigrateOptions',
  ],
  ['there is no VM', { vmi: vmiOf() }, '', 404, 'NotFound', 'virtualmachine'],
  ['there is no VMI', { vm: vmOf() }, '', 404, 'NotFound', 'virtualmachineinstance'],
  ['the VMI is not its own', { vm: vmOf(), vmi: stranger }, '', 404, 'NotFound', 'virtualmachineinstance'],
  ['the guest is not up yet', { vm: vmOf(), vmi: vmiOf('Scheduled') }, '', 409, 'Conflict', 'virtualmachine'],
  ['the guest has ended', { vm: vmOf(), vmi: vmiOf('Failed') }, '', 409, 'Conflict', 'virtualmachine'],
])('migrate is refused where %s', async (_why, objects, body, code, reason, kind) => {
  const { app, created } = migratingApi(objects)
  const response = await put(app, MIGRATE, body)
  expect(response.json()).toMatchObject({ kind: 'Status', code, reason })
  expect(response.json().details?.kind).toBe(kind)
  expect(created).toEqual([])
})

test.each([
  ['400 becomes 409', badRequest('the VMI "vm1" is being migrated by "other"'), 409, 'Conflict'],
  ['others stay', forbidden({ group: '', kind: 'x' }, 'vm1', 'no'), 403, 'Forbidden'],
])('what admission refuses is told: %s', async (_how, refusal, code, reason) => {
  const { app } = migratingApi({ vm: vmOf(), vmi: vmiOf() }, refusal)
  const response = await put(app, MIGRATE)
  expect(response.json()).toMatchObject({ code, reason })
  expect(response.json().message).toContain(code === 409 ? 'is being migrated by "other"' : 'no')
})
