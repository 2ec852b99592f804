import { expect, test } from 'vitest'
import type { AnyObject } from '../../../src/embedded/parts.ts'
import { CONFIGMAPS, SERVICE_ACCOUNTS, VMS } from '../../../src/kinds/table.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { type anyObject, asAdmin, openRegistry } from '../../helpers/object-registry.ts'

async function openWithVm(overrides: Parameters<typeof openRegistry>[0] = {}) {
  const r = await openRegistry(overrides)
  const body = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'a', labels: { x: '1' } },
    spec: { runStrategy: 'Halted', list: [1, 2] },
  }
  await r.api.create(VMS, 'default', body as unknown as AnyObject, asAdmin())
  return r
}

const refusal = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof StatusError)) throw new Error('was not refused', { cause: error })
  return error.toStatus()
}

test.each([
  [
    'json',
    [
      { op: 'replace', path: '/spec/runStrategy', value: 'Manual' },
      { op: 'remove', path: '/metadata/labels/x' },
    ],
  ],
  ['merge', { spec: { runStrategy: 'Manual' }, metadata: { labels: { x: null } } }],
] as const)('a %s patch changes what it names', async (type, body) => {
  using r = await openWithVm()
  const patched = await r.api.patch(VMS, 'default', 'a', type, body, asAdmin())
  expect(patched).toMatchObject({
    spec: { runStrategy: 'Manual', list: [1, 2] },
    metadata: { generation: 2 },
  })
  expect(patched.metadata.labels).toBeUndefined()
  expect(await r.api.get(VMS, 'default', 'a')).toEqual(patched)
})

test.each([
  ['a failed test', 'json', [{ op: 'test', path: '/spec/runStrategy', value: 'Always' }], 422, 'Invalid'],
  ['a missing path', 'json', [{ op: 'remove', path: '/spec/none' }], 422, 'Invalid'],
  ['a malformed JSON patch', 'json', { op: 'remove' }, 400, 'BadRequest'],
  [
    'too many steps',
    'json',
    Array.from({ length: 10_001 }, () => ({ op: 'remove', path: '/x' })),
    413,
    'RequestEntityTooLarge',
  ],
  ['a merge patch that is a list', 'merge', [], 400, 'BadRequest'],
  ['another kind', 'merge', { kind: 'Secret' }, 400, 'BadRequest'],
  ['another name', 'merge', { metadata: { name: 'b' } }, 422, 'Invalid'],
  ['another namespace', 'merge', { metadata: { namespace: 'b' } }, 422, 'Invalid'],
  ['another UID', 'merge', { metadata: { uid: 'b' } }, 409, 'Conflict'],
  ['another version', 'merge', { metadata: { resourceVersion: '1' } }, 409, 'Conflict'],
  ['the whole object gone', 'json', [{ op: 'replace', path: '', value: 1 }], 400, 'BadRequest'],
  ['a strategic patch of a custom kind', 'strategic', {}, 415, 'UnsupportedMediaType'],
] as const)('%s is refused', async (_what, type, body, code, reason) => {
  using r = await openWithVm()
  const before = r.database.revision()
  expect(await refusal(r.api.patch(VMS, 'default', 'a', type, body, asAdmin()))).toMatchObject({
    code,
    reason,
  })
  expect(r.database.revision()).toBe(before)
})

test('a patch of what is not there is 404', async () => {
  using r = await openWithVm()
  expect(await refusal(r.api.patch(VMS, 'default', 'none', 'merge', {}, asAdmin()))).toMatchObject({
    code: 404,
  })
})

/** Admission that lets somebody else write first, `times` times. */
function racingAdmission(times: number, write: () => Promise<unknown>) {
  let left = times
  return {
    review: async (request: Parameters<typeof anyObject.review>[0]) => {
      if (request.operation === 'UPDATE' && request.user.name === 'patcher' && left-- > 0) await write()
      return { object: request.object, warnings: [] }
    },
  }
}

test('a patch that loses a race is made again on what was written meanwhile', async () => {
  let count = 0
  using r = await openWithVm({
    admission: racingAdmission(3, async () =>
      r.api.patch(VMS, 'default', 'a', 'merge', { spec: { other: ++count } }, asAdmin()),
    ),
  })
  const context = asAdmin({ user: { name: 'patcher', groups: [] } })
  const patched = await r.api.patch(VMS, 'default', 'a', 'merge', { spec: { runStrategy: 'Once' } }, context)
  expect(patched).toMatchObject({ spec: { runStrategy: 'Once', other: 3 } })
})

test('a patch that loses every race, or names its version, is refused with 409', async () => {
  let count = 0
  using r = await openWithVm({
    admission: racingAdmission(100, async () =>
      r.api.patch(VMS, 'default', 'a', 'merge', { spec: { other: ++count } }, asAdmin()),
    ),
  })
  const context = asAdmin({ user: { name: 'patcher', groups: [] } })
  expect(
    await refusal(r.api.patch(VMS, 'default', 'a', 'merge', { spec: { runStrategy: 'Once' } }, context)),
  ).toMatchObject({ code: 409 })
  expect(count).toBe(5)
  const { resourceVersion } = (await r.api.get(VMS, 'default', 'a')).metadata
  const body = { metadata: { resourceVersion }, spec: { runStrategy: 'Once' } }
  expect(await refusal(r.api.patch(VMS, 'default', 'a', 'merge', body, context))).toMatchObject({ code: 409 })
  expect(count).toBe(6)
})

test('concurrent patches of one object are all kept', async () => {
  using r = await openWithVm()
  const names = Array.from({ length: 5 }, (_value, number) => `k${number}`)
  await Promise.all(
    names.map((name) =>
      r.api.patch(VMS, 'default', 'a', 'merge', { metadata: { annotations: { [name]: '1' } } }, asAdmin()),
    ),
  )
  expect(Object.keys((await r.api.get(VMS, 'default', 'a')).metadata.annotations ?? {}).sort()).toEqual(names)
})

test('strategic patches merge the lists of Kubernetes’ own kinds by their keys', async () => {
  using r = await openRegistry()
  const account = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'a', finalizers: ['a/b'] },
    imagePullSecrets: [{ name: 'one' }],
  }
  await r.api.create(SERVICE_ACCOUNTS, 'default', account as unknown as AnyObject, asAdmin())
  const body = {
    imagePullSecrets: [{ name: 'two' }],
    metadata: { finalizers: ['c/d'], '$deleteFromPrimitiveList/finalizers': ['a/b'] },
  }
  const patched = await r.api.patch(SERVICE_ACCOUNTS, 'default', 'a', 'strategic', body, asAdmin())
  expect(patched).toMatchObject({
    imagePullSecrets: [{ name: 'one' }, { name: 'two' }],
    metadata: { finalizers: ['c/d'] },
  })
})

test('what kubectl apply sends for a ConfigMap works', async () => {
  using r = await openRegistry()
  await r.api.create(
    CONFIGMAPS,
    'default',
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { x: '1', y: '2' },
    } as unknown as AnyObject,
    asAdmin(),
  )
  const body = {
    data: { x: null, z: '3' },
    metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
  }
  expect(await r.api.patch(CONFIGMAPS, 'default', 'a', 'strategic', body, asAdmin())).toMatchObject({
    data: { y: '2', z: '3' },
  })
})
