import { expect, test } from 'vitest'
import { kubeVirtUser } from '../../src/admission/accounts.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { VMIMS, VMIS } from '../../src/kinds/table.ts'
import type { ObjectReader } from '../../src/store/store.ts'
import { causesOf, makeAdmission, requestOf, SOMEBODY } from '../helpers/admission.ts'

const running = { status: { phase: 'Running' } }

/** Finds a VMI `guest` and the migrations given. */
function readerOf(vmi: object | undefined, migrations: object[] = []): ObjectReader {
  return {
    get: async (kind, namespace, name) => {
      const isIt = kind.plural === VMIS.plural && namespace === 'default' && name === 'guest'
      return (isIt ? vmi : undefined) as undefined
    },
    list: async (_kind, selection) => {
      expect(selection).toEqual({ namespace: 'default', labelSelector: 'kubevirt.io/vmi-name=guest' })
      return { items: migrations as never[], resourceVersion: '1' }
    },
  }
}
const create = (spec: object, reader = readerOf(running), user = SOMEBODY, config = {}) =>
  makeAdmission(config, reader).review(requestOf(VMIMS, { spec }, { user }))

test('a migration is labelled with its guest and kept until it is cleaned up after', async () => {
  const { object } = await create({ vmiName: 'guest' })
  expect(object.metadata).toMatchObject({
    labels: { 'kubevirt.io/vmi-name': 'guest' },
    finalizers: ['kubevirt.io/migrationJobFinalize'],
  })
})

test('a migration names its guest, and leaves the priority to the controller', async () => {
  expect(await causesOf(create({}))).toEqual(['Required spec.vmiName'])
  expect(await causesOf(create({ vmiName: 'guest', priority: 'system-critical' }))).toEqual([
    'Forbidden spec.migrationPriority',
  ])
  expect(
    await causesOf(
      create({ vmiName: 'guest', priority: 'system-critical' }, undefined, kubeVirtUser('controller')),
    ),
  ).toEqual([])
  expect(await causesOf(create({ vmiName: 'guest', sendTo: {} }))).toEqual(['NotSupported'])
  expect(
    await causesOf(create({ vmiName: 'guest', sendTo: {} }, undefined, SOMEBODY, { isGateOn: () => true })),
  ).toEqual([])
})

test('both ends of a migration between clusters name the same one', async () => {
  const on = { isGateOn: () => true }
  const between = (id: string) =>
    create(
      { vmiName: 'guest', sendTo: { migrationID: 'm1' }, receive: { migrationID: id } },
      undefined,
      SOMEBODY,
      on,
    )
  expect(await causesOf(between('m1'))).toEqual([])
  expect(await causesOf(between('m2'))).toEqual(['Invalid'])
})

const notMigratable = (reason: string) => ({
  status: {
    phase: 'Running',
    conditions: [{ type: 'LiveMigratable', status: 'False', reason, message: 'because' }],
  },
})

test.each([
  ['is not there', readerOf(undefined), 'there is no VMI "guest" in the namespace "default"'],
  ['has ended', readerOf({ status: { phase: 'Succeeded' } }), 'has ended (Succeeded)'],
  [
    'cannot be moved',
    readerOf(notMigratable('DisksNotLiveMigratable')),
    'cannot be migrated (DisksNotLiveMigratable): because',
  ],
  [
    'is being moved',
    readerOf(running, [{ metadata: { name: 'other' }, status: { phase: 'Running' } }]),
    'is being migrated by "other"',
  ],
])('a guest that %s is not migrated', async (_state, reader, message) => {
  const refused = create({ vmiName: 'guest' }, reader)
  await expect(refused).rejects.toMatchObject({ code: 400, reason: 'BadRequest' })
  await expect(refused).rejects.toThrow(message)
})

test('migrations that are over do not stand in the way', async () => {
  const over = ['Succeeded', 'Failed'].map((phase) => ({ metadata: { name: phase }, status: { phase } }))
  expect(await causesOf(create({ vmiName: 'guest' }, readerOf(running, over)))).toEqual([])
})

test('a name that is no label value finds nothing, and does not ask', async () => {
  await expect(create({ vmiName: 'not/a label' })).rejects.toMatchObject({ code: 400 })
})

const labels = { 'kubevirt.io/vmi-name': 'guest' }
test.each([
  ['its spec', { spec: { vmiName: 'other' }, labels }, ['NotSupported']],
  [
    'its label',
    { spec: { vmiName: 'guest' }, labels: { 'kubevirt.io/vmi-name': 'other' } },
    ['NotSupported'],
  ],
  ['nothing that counts', { spec: { vmiName: 'guest' }, labels: { ...labels, more: 'x' } }, []],
  ['its label once it is over', { spec: { vmiName: 'guest' }, labels: {}, status: { phase: 'Failed' } }, []],
])('an update that changes %s', async (_what, { spec, labels: now, ...rest }, causes) => {
  const metadata = { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' }
  const old = { metadata: { ...metadata, labels }, spec: { vmiName: 'guest' } } as unknown as KubeObject
  const request = requestOf(
    VMIMS,
    { metadata: { ...metadata, labels: now }, spec, ...rest },
    { operation: 'UPDATE', old },
  )
  expect(await causesOf(makeAdmission().review(request))).toEqual(causes)
})
