/** Security checklist, B7: what is done for a VM once nobody asks for it is done with the rights of its service account. */
import { expect, test } from 'vitest'
import type { Authorizer, ResourceAttributes, User } from '../../../src/auth/access.ts'
import { buildForeignUses } from '../../../src/auth/foreign-use.ts'
import type { VmSpec } from '../../../src/kinds/kubevirt.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import { DATA_VOLUMES, NAMESPACES, PVCS, VMS } from '../../../src/kinds/table.ts'
import { buildVm, startWorld, type World } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

const image = { namespace: 'golden', name: 'image' }
const cloned: Partial<VmSpec> = {
  dataVolumeTemplates: [{ metadata: { name: 'root' }, spec: { storage: {}, source: { pvc: image } } }],
}

/** Decides by user name; remembers what was asked. */
function deciding(mayAll: string) {
  const asked: { user: User; attributes: ResourceAttributes }[] = []
  const authorizer: Authorizer = {
    async review(user, attributes) {
      if (attributes.kind === 'resource') asked.push({ user, attributes })
      return { allowed: user.name === mayAll, reason: '' }
    },
  }
  return { asked, foreignUses: buildForeignUses(authorizer) }
}

const dataVolume = (world: World) => world.store.get(DATA_VOLUMES, 'default', 'root')
const account = (name: string) => `system:serviceaccount:default:${name}`

test.each<[string, Partial<VmSpec>, string]>([
  ['default', cloned, account('default')],
  [
    'the one whose token the guest has',
    {
      ...cloned,
      template: {
        spec: {
          domain: { devices: {} },
          volumes: [{ name: 'token', serviceAccount: { serviceAccountName: 'cloner' } }],
        },
      },
    },
    account('cloner'),
  ],
])('a DataVolume is filled from another namespace where its VM may: %s', async (_which, spec, name) => {
  const { asked, foreignUses } = deciding(name)
  const world = await startWorld({ foreignUses })
  await world.store.create(VMS, buildVm('web', 'Always', spec))
  const made = await turnUntil(() => dataVolume(world))
  expect(made.spec?.source).toEqual({ pvc: image })
  expect(asked[0]).toEqual({
    user: {
      name,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    },
    attributes: {
      kind: 'resource',
      verb: 'create',
      group: 'cdi.kubevirt.io',
      version: 'v1beta1',
      resource: 'datavolumes',
      subresource: 'source',
      ...image,
    },
  })
})

test('no DataVolume is made where the VM may not have its data, and the VM says so', async () => {
  const { foreignUses } = deciding(account('somebody-else'))
  const world = await startWorld({ foreignUses })
  await world.store.create(VMS, buildVm('web', 'Always', cloned))
  const vm = await world.vmUntil('web', ({ status }) => Boolean(findCondition(status?.conditions, 'Failure')))
  const message = findCondition(vm.status?.conditions, 'Failure')?.message
  expect(message).toContain('"image" of the namespace "golden"')
  expect(message).toContain(`"${account('default')}" cannot create resource "datavolumes/source"`)
  expect(await dataVolume(world)).toBeUndefined()
})

test('an instance type is not inferred from a volume that the VM may not read', async () => {
  const { foreignUses } = deciding(account('somebody-else'))
  const world = await startWorld({ foreignUses })
  await world.store.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'golden' } })
  await world.store.create(PVCS, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...image, labels: { 'instancetype.kubevirt.io/default-instancetype': 'big' } },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  })
  // Made by somebody who was allowed to.
  await world.store.create(DATA_VOLUMES, {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataVolume',
    metadata: { namespace: 'default', name: 'copied' },
    spec: { storage: {}, source: { pvc: image } },
  })
  // Written as it is to stay: what is inferred is not part of it.
  const vm = buildVm('web', 'Always', {
    instancetype: { inferFromVolume: 'root' },
    template: {
      spec: { domain: { devices: {} }, volumes: [{ name: 'root', dataVolume: { name: 'copied' } }] },
    },
  })
  await world.store.create(VMS, vm)
  const told = await world.vmUntil('web', ({ status }) =>
    Boolean(findCondition(status?.conditions, 'Failure')),
  )
  expect(findCondition(told.status?.conditions, 'Failure')?.message).toMatch(
    /cannot get resource "persistentvolumeclaims" .* in the namespace "golden"/,
  )
  expect(JSON.stringify(told.status)).not.toContain('big')
})
