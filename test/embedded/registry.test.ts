import { expect, test } from 'vitest'
import type { ShapeChecker } from '../../src/embedded/api.ts'
import type { AnyObject } from '../../src/embedded/parts.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { CONFIGMAPS, NAMESPACES, SECRETS, VMIS, VMS } from '../../src/kinds/table.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { type anyObject, anyShape, asAdmin, openRegistry } from '../helpers/object-registry.ts'

// Bodies are what a client sends: no UID, no version.
const configMap = (name: string, extra: object = {}) =>
  ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: { a: '1' },
    ...extra,
  }) as unknown as AnyObject
const vm = (name: string, extra: object = {}) =>
  ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name },
    spec: { runStrategy: 'Halted' },
    ...extra,
  }) as unknown as AnyObject
const vmi = (name: string, extra: object = {}) =>
  ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name },
    spec: { domain: {} },
    ...extra,
  }) as unknown as AnyObject

/** An object with other members than the compiler knows of. */
const withMembers = (object: KubeObject, members: object) => ({ ...object, ...members })

const refusal = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof StatusError)) throw new Error('was not refused', { cause: error })
  return error.toStatus()
}

test('a created object has what the server gives it and nothing the client may not set', async () => {
  using r = await openRegistry()
  const metadata = {
    name: 'a',
    uid: 'mine',
    generation: 9,
    creationTimestamp: null,
    deletionTimestamp: '2020-01-01T00:00:00Z',
    managedFields: [{}],
    selfLink: '/x',
    labels: {},
  }
  const created = await r.api.create(
    VMS,
    'default',
    vm('a', { metadata, status: { ready: true } }),
    asAdmin(),
  )
  expect(created).toEqual({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: {
      name: 'a',
      namespace: 'default',
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      resourceVersion: String(r.database.revision()),
      creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      generation: 1,
    },
    spec: { runStrategy: 'Halted' },
  })
  expect(await r.api.get(VMS, 'default', 'a')).toEqual(created)
})

test('Kubernetes’ own kinds have no generation', async () => {
  using r = await openRegistry()
  const created = await r.api.create(CONFIGMAPS, 'default', configMap('a'), asAdmin())
  expect(created.metadata.generation).toBeUndefined()
})

test.each([
  [
    'is there already',
    'default',
    configMap('there'),
    409,
    'AlreadyExists',
    'configmaps "there" already exists',
  ],
  [
    'lies in another namespace',
    'default',
    configMap('a', { metadata: { name: 'a', namespace: 'kube-public' } }),
    400,
    'BadRequest',
    'the namespace of the provided object does not match the namespace sent on the request',
  ],
  [
    'lies in a namespace that is not there',
    'nowhere',
    configMap('a'),
    404,
    'NotFound',
    'namespaces "nowhere" not found',
  ],
  [
    'has a version',
    'default',
    configMap('a', { metadata: { name: 'a', resourceVersion: '3' } }),
    400,
    'BadRequest',
    'resourceVersion should not be set on objects to be created',
  ],
  [
    'has no name',
    'default',
    configMap('', { metadata: {} }),
    422,
    'Invalid',
    'configmaps "" is invalid: metadata.name: Required value: name or generateName is required',
  ],
  [
    'is of another kind',
    'default',
    configMap('a', { kind: 'Secret' }),
    400,
    'BadRequest',
    'the kind in the data ("Secret") does not match the expected kind (ConfigMap)',
  ],
  [
    'is of another version',
    'default',
    configMap('a', { apiVersion: 'v2' }),
    400,
    'BadRequest',
    'the API version in the data ("v2") does not match the expected API version (v1)',
  ],
  [
    'has labels that are no text',
    'default',
    configMap('a', { metadata: { name: 'a', labels: { a: 1 } } }),
    400,
    'BadRequest',
    'metadata.labels must be an object whose values are strings, found {"a":1}',
  ],
  [
    'is no object',
    'default',
    [] as unknown as AnyObject,
    400,
    'BadRequest',
    'the body must be an object of kind ConfigMap',
  ],
])('an object that %s is not created', async (_state, namespace, body, code, reason, message) => {
  using r = await openRegistry()
  await r.api.create(CONFIGMAPS, 'default', configMap('there'), asAdmin())
  expect(await refusal(r.api.create(CONFIGMAPS, namespace, body, asAdmin()))).toMatchObject({
    code,
    reason,
    message,
  })
})

test.each([
  ['name', { name: 'Bad_Name' }],
  ['labels', { name: 'a', labels: { '-a': 'x' } }],
  ['labels', { name: 'a', labels: { a: '-x' } }],
  ['annotations', { name: 'a', annotations: { '-a': 'x' } }],
  ['annotations', { name: 'a', annotations: { a: 'x'.repeat(262_145) } }],
  ['finalizers[0]', { name: 'a', finalizers: ['-'] }],
  ['ownerReferences[0].uid', { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x' }] }],
  [
    'ownerReferences',
    {
      name: 'a',
      ownerReferences: [1, 2].map((n) => ({
        apiVersion: 'v1',
        kind: 'X',
        name: 'x',
        uid: `${n}`,
        controller: true,
      })),
    },
  ],
])('wrong metadata is refused, naming metadata.%s', async (field, metadata) => {
  using r = await openRegistry()
  const status = await refusal(r.api.create(CONFIGMAPS, 'default', configMap('', { metadata }), asAdmin()))
  expect(status).toMatchObject({
    code: 422,
    reason: 'Invalid',
    details: { kind: 'configmaps', causes: [{ field: `metadata.${field}` }] },
  })
})

test('a generated name is tried again when it is taken', async () => {
  let call = 0
  // The first two names are the same, the third differs.
  using r = await openRegistry({ random: () => (call++ < 10 ? 0 : 1) })
  const body = () => configMap('', { metadata: { generateName: 'web-' } })
  const first = await r.api.create(CONFIGMAPS, 'default', body(), asAdmin())
  const second = await r.api.create(CONFIGMAPS, 'default', body(), asAdmin())
  expect([first.metadata.name, second.metadata.name]).toEqual(['web-bbbbb', 'web-ccccc'])
  expect(first.metadata.generateName).toBe('web-')
})

test('a dry run checks everything and keeps nothing', async () => {
  using r = await openRegistry()
  const before = r.database.revision()
  const made = await r.api.create(CONFIGMAPS, 'default', configMap('a'), asAdmin({ dryRun: true }))
  expect(made.metadata).toMatchObject({ name: 'a', uid: expect.any(String) })
  await r.api.create(CONFIGMAPS, 'default', configMap('b'), asAdmin())
  expect(
    await refusal(r.api.create(CONFIGMAPS, 'default', configMap('b'), asAdmin({ dryRun: true }))),
  ).toMatchObject({ code: 409 })
  const patched = await r.api.patch(
    CONFIGMAPS,
    'default',
    'b',
    'merge',
    { data: { a: '2' } },
    asAdmin({ dryRun: true }),
  )
  expect(patched).toMatchObject({ data: { a: '2' } })
  expect((await r.api.delete(CONFIGMAPS, 'default', 'b', {}, asAdmin({ dryRun: true }))).removed).toBe(true)
  expect(r.database.revision()).toBe(before + 1)
  expect(await r.api.get(CONFIGMAPS, 'default', 'b')).toMatchObject({ data: { a: '1' } })
})

/** Knows `spec` and, in it, `known`. */
const strictShape: ShapeChecker = {
  check: (_kind, object) => ({
    causes: [],
    unknownFields: Object.keys((object as AnyObject).spec as object)
      .filter((name) => name !== 'known')
      .map((name) => `spec.${name}`),
  }),
  prune: (_kind, object) => ({
    ...object,
    spec: { known: ((object as AnyObject).spec as { known: unknown }).known },
  }),
}

test.each([
  ['Ignore', [] as string[]],
  ['Warn', ['unknown field "spec.foo"', 'unknown field "metadata.bar"']],
  [undefined, ['unknown field "spec.foo"', 'unknown field "metadata.bar"']],
] as const)('unknown fields under %s are dropped with the warnings %j', async (fieldValidation, expected) => {
  using r = await openRegistry()
  using strict = await openRegistry({
    database: r.database,
    shapes: {
      ...strictShape,
      check: (kind, object) =>
        kind === VMIS ? strictShape.check(kind, object) : anyShape.check(kind, object),
    },
  })
  const context = asAdmin({ ...(fieldValidation && { fieldValidation }) })
  const body = vmi('a', { metadata: { name: 'a', bar: 1 }, spec: { known: 1, foo: 2 } })
  const created = await strict.api.create(VMIS, 'default', body, context)
  expect(created).toMatchObject({ spec: { known: 1 } })
  expect((created as AnyObject).spec).not.toHaveProperty('foo')
  expect(context.warnings).toEqual(expected)
})

test('unknown fields under Strict are refused, all of them by name', async () => {
  using r = await openRegistry({
    shapes: {
      ...strictShape,
      check: (kind, object) =>
        kind === VMIS ? strictShape.check(kind, object) : anyShape.check(kind, object),
    },
  })
  const body = vmi('a', { spec: { foo: 2, oof: 3 } })
  expect(
    await refusal(r.api.create(VMIS, 'default', body, asAdmin({ fieldValidation: 'Strict' }))),
  ).toMatchObject({
    code: 400,
    reason: 'BadRequest',
    message: 'strict decoding error: unknown field "spec.foo", unknown field "spec.oof"',
  })
})

test('a wrong shape is refused with its causes', async () => {
  const causes = [{ reason: 'FieldValueTypeInvalid', message: 'must be string', field: 'data.a' }]
  using r = await openRegistry({
    shapes: {
      ...anyShape,
      check: (kind) => ({ causes: kind === CONFIGMAPS ? causes : [], unknownFields: [] }),
    },
  })
  expect(await refusal(r.api.create(CONFIGMAPS, 'default', configMap('a'), asAdmin()))).toMatchObject({
    code: 422,
    message: 'configmaps "a" is invalid: data.a: must be string',
    details: { causes },
  })
})

test('what admission makes of an object is stored, and its warnings are told once it is', async () => {
  const admission = {
    review: async ({ object, kind }: Parameters<typeof anyObject.review>[0]) =>
      kind === CONFIGMAPS
        ? { object: { ...object, data: { b: '2' } }, warnings: ['mind the gap'] }
        : { object, warnings: [] },
  }
  using r = await openRegistry({ admission })
  const context = asAdmin()
  expect(await r.api.create(CONFIGMAPS, 'default', configMap('a'), context)).toMatchObject({
    data: { b: '2' },
  })
  expect(context.warnings).toEqual(['mind the gap'])
})

test('the generation rises with what is wanted, and with nothing else', async () => {
  using r = await openRegistry()
  let object = await r.api.create(VMIS, 'default', vmi('a'), asAdmin())
  const change = async (extra: object) => {
    object = await r.api.update(VMIS, 'default', 'a', { ...object, ...extra }, asAdmin())
    return object.metadata.generation
  }
  expect(await change({ metadata: { ...object.metadata, labels: { a: 'b' } } })).toBe(1)
  expect(await change({ status: { phase: 'Running' } })).toBe(1)
  expect(await change({ spec: { domain: { cpu: {} } } })).toBe(2)
  expect(await change({ metadata: { ...object.metadata, generation: 77 } })).toBe(2)
})

test('an update of the version that is stored goes through, one of another is refused', async () => {
  using r = await openRegistry()
  const first = await r.api.create(VMS, 'default', vm('a'), asAdmin())
  const second = await r.api.update(
    VMS,
    'default',
    'a',
    withMembers(first, { spec: { runStrategy: 'Manual' } }),
    asAdmin(),
  )
  expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion))
  expect(await refusal(r.api.update(VMS, 'default', 'a', first, asAdmin()))).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    code: 409,
    reason: 'Conflict',
    message:
      'Operation cannot be fulfilled on virtualmachines.kubevirt.io "a": the object has been modified; please apply your changes to the latest version and try again',
    details: { name: 'a', group: 'kubevirt.io', kind: 'virtualmachines' },
  })
})

test('an update without a version is taken for Kubernetes’ own kinds only', async () => {
  using r = await openRegistry()
  await r.api.create(CONFIGMAPS, 'default', configMap('a'), asAdmin())
  await r.api.create(VMS, 'default', vm('a'), asAdmin())
  expect(
    await r.api.update(CONFIGMAPS, 'default', 'a', configMap('a', { data: { a: '2' } }), asAdmin()),
  ).toMatchObject({ data: { a: '2' } })
  expect(await refusal(r.api.update(VMS, 'default', 'a', vm('a'), asAdmin()))).toMatchObject({
    code: 422,
    details: { causes: [{ field: 'metadata.resourceVersion' }] },
  })
})

test.each([
  ['another name', { name: 'b' }, 400, 'the name of the object (b) does not match the name on the URL (a)'],
  [
    'another namespace',
    { namespace: 'kube-public' },
    400,
    'the namespace of the provided object does not match',
  ],
  [
    'another UID',
    { uid: 'other' },
    409,
    'Precondition failed: UID in precondition: other, UID in object meta: ',
  ],
  [
    'a deletion time',
    { deletionTimestamp: '2020-01-01T00:00:00Z' },
    422,
    'metadata.deletionTimestamp: Invalid value: "2020-01-01T00:00:00Z": field is immutable',
  ],
])('an update to %s is refused', async (_what, metadata, code, message) => {
  using r = await openRegistry()
  const created = await r.api.create(CONFIGMAPS, 'default', configMap('a'), asAdmin())
  const body = { ...created, metadata: { ...created.metadata, ...metadata } }
  const status = await refusal(r.api.update(CONFIGMAPS, 'default', 'a', body, asAdmin()))
  expect(status).toMatchObject({ code, message: expect.stringContaining(message) })
})

test('an update that changes nothing keeps the version and wakes nobody', async () => {
  using r = await openRegistry()
  const created = await r.api.create(VMS, 'default', vm('a'), asAdmin())
  const before = r.database.revision()
  expect(await r.api.update(VMS, 'default', 'a', created, asAdmin())).toEqual(created)
  expect(
    await r.api.patch(VMS, 'default', 'a', 'merge', { spec: { runStrategy: 'Halted' } }, asAdmin()),
  ).toEqual(created)
  expect(r.database.revision()).toBe(before)
})

test('spec and status are written apart where the kind has a status subresource', async () => {
  using r = await openRegistry()
  const created = await r.api.create(VMS, 'default', vm('a'), asAdmin())
  const both = withMembers(created, { spec: { runStrategy: 'Manual' }, status: { ready: true } })
  const main = await r.api.update(VMS, 'default', 'a', both, asAdmin())
  expect(main).toMatchObject({ spec: { runStrategy: 'Manual' } })
  expect(main).not.toHaveProperty('status')
  const status = withMembers(main, {
    spec: { runStrategy: 'Always' },
    status: { ready: true },
    metadata: { ...main.metadata, labels: { a: 'b' } },
  })
  const written = await r.api.update(VMS, 'default', 'a', status, asAdmin({ subresource: 'status' }))
  expect(written).toMatchObject({
    spec: { runStrategy: 'Manual' },
    status: { ready: true },
    metadata: { generation: 2 },
  })
  expect(written.metadata.labels).toBeUndefined()
  const patched = await r.api.patch(
    VMS,
    'default',
    'a',
    'merge',
    { spec: { runStrategy: 'Once' }, status: { ready: null, created: true } },
    asAdmin({ subresource: 'status' }),
  )
  expect(patched).toMatchObject({ spec: { runStrategy: 'Manual' }, status: { created: true } })
})

test('there is no status subresource where the kind has none', async () => {
  using r = await openRegistry()
  const created = await r.api.create(VMIS, 'default', vmi('a'), asAdmin())
  expect(
    await refusal(r.api.update(VMIS, 'default', 'a', created, asAdmin({ subresource: 'status' }))),
  ).toMatchObject({
    code: 404,
    message: 'the server could not find the requested resource',
  })
})

test('an object without finalizers is gone at once, one with them waits for the last', async () => {
  using r = await openRegistry()
  await r.api.create(VMS, 'default', vm('plain'), asAdmin())
  const held = await r.api.create(
    VMS,
    'default',
    vm('held', { metadata: { name: 'held', finalizers: ['a/b', 'c/d'] } }),
    asAdmin(),
  )
  const gone = await r.api.delete(VMS, 'default', 'plain', {}, asAdmin())
  expect(gone).toMatchObject({ removed: true, object: { metadata: { name: 'plain' } } })
  expect(await refusal(r.api.get(VMS, 'default', 'plain'))).toMatchObject({
    code: 404,
    message: 'virtualmachines.kubevirt.io "plain" not found',
  })

  const { object, removed } = await r.api.delete(VMS, 'default', 'held', {}, asAdmin())
  expect(removed).toBe(false)
  expect(object.metadata).toMatchObject({
    deletionTimestamp: expect.any(String),
    deletionGracePeriodSeconds: 0,
    generation: 2,
  })
  const again = await r.api.delete(VMS, 'default', 'held', {}, asAdmin())
  expect(again.object.metadata.resourceVersion).toBe(object.metadata.resourceVersion)

  const drop = (finalizers: string[]) =>
    r.api.patch(VMS, 'default', 'held', 'merge', { metadata: { finalizers } }, asAdmin())
  expect(await refusal(drop(['a/b', 'c/d', 'e/f']))).toMatchObject({
    code: 422,
    details: { causes: [{ reason: 'FieldValueForbidden', field: 'metadata.finalizers' }] },
  })
  expect((await drop(['c/d'])).metadata.uid).toBe(held.metadata.uid)
  await drop([])
  expect(await refusal(r.api.get(VMS, 'default', 'held'))).toMatchObject({ code: 404 })
})

test('a deletion with preconditions deletes only what meets them', async () => {
  using r = await openRegistry()
  const { metadata } = await r.api.create(VMS, 'default', vm('a'), asAdmin())
  const attempt = (preconditions: object) => r.api.delete(VMS, 'default', 'a', { preconditions }, asAdmin())
  expect(await refusal(attempt({ uid: 'other' }))).toMatchObject({ code: 409, reason: 'Conflict' })
  expect(await refusal(attempt({ resourceVersion: '1' }))).toMatchObject({
    code: 409,
    message: expect.stringContaining('ResourceVersion in precondition: 1'),
  })
  expect(await attempt({ uid: metadata.uid, resourceVersion: metadata.resourceVersion })).toMatchObject({
    removed: true,
  })
})

test('a collection is deleted as far as the selection goes', async () => {
  using r = await openRegistry()
  for (const name of ['a', 'b', 'c']) {
    await r.api.create(
      CONFIGMAPS,
      'default',
      configMap(name, { metadata: { name, labels: { keep: name === 'b' ? 'yes' : 'no' } } }),
      asAdmin(),
    )
  }
  const deleted = await r.api.deleteCollection(
    CONFIGMAPS,
    { namespace: 'default', labelSelector: 'keep=no' },
    {},
    asAdmin(),
  )
  expect(deleted.items.map(({ metadata }) => metadata.name)).toEqual(['a', 'c'])
  expect(
    (await r.api.list(CONFIGMAPS, { namespace: 'default' })).items.map(({ metadata }) => metadata.name),
  ).toEqual(['b'])
})

test('of a collection that is deleted, what others make anew meanwhile stays', async () => {
  using r = await openRegistry()
  const names = Array.from({ length: 150 }, (_, n) => `map-${String(n).padStart(3, '0')}`)
  for (const name of names) await r.api.create(CONFIGMAPS, 'default', configMap(name), asAdmin())
  const deleting = r.api.deleteCollection(CONFIGMAPS, { namespace: 'default' }, {}, asAdmin())
  // Of the second piece: the first is not through yet.
  const [gone = '', renewed = ''] = names.slice(-2)
  await r.api.delete(CONFIGMAPS, 'default', gone, {}, asAdmin())
  await r.api.delete(CONFIGMAPS, 'default', renewed, {}, asAdmin())
  await r.api.create(CONFIGMAPS, 'default', configMap(renewed), asAdmin())
  const { items } = await deleting
  expect(items.map(({ metadata }) => metadata.name)).toEqual(names.slice(0, -2))
  const left = (await r.api.list(CONFIGMAPS, { namespace: 'default' })).items
  expect(left.map(({ metadata }) => metadata.name)).toEqual([renewed])
})

test('nothing is created in a namespace that is being deleted', async () => {
  using r = await openRegistry()
  await r.api.create(
    NAMESPACES,
    '',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' } } as AnyObject,
    asAdmin(),
  )
  const { removed, object } = await r.api.delete(NAMESPACES, '', 'going', {}, asAdmin())
  expect(removed).toBe(false)
  expect(object).toMatchObject({ status: { phase: 'Terminating' }, spec: { finalizers: ['kubernetes'] } })
  expect(
    await refusal(
      r.api.create(
        SECRETS,
        'going',
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } } as AnyObject,
        asAdmin(),
      ),
    ),
  ).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    code: 403,
    reason: 'Forbidden',
    message:
      'secrets "s" is forbidden: unable to create new content in namespace going because it is being terminated',
    details: {
      name: 's',
      kind: 'secrets',
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: 'namespace going is being terminated',
          field: 'metadata.namespace',
        },
      ],
    },
  })
})

test('a namespace that goes while admission is asked gets nothing new', async () => {
  const admission = {
    review: async ({ object, kind }: Parameters<typeof anyObject.review>[0]) => {
      if (kind === CONFIGMAPS) await r.api.delete(NAMESPACES, '', 'going', {}, asAdmin())
      return { object, warnings: [] }
    },
  }
  using r = await openRegistry({ admission })
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' } } as AnyObject
  await r.api.create(NAMESPACES, '', namespace, asAdmin())
  expect(await refusal(r.api.create(CONFIGMAPS, 'going', configMap('a'), asAdmin()))).toMatchObject({
    code: 403,
    message: expect.stringContaining('because it is being terminated'),
  })
})

test.each(['default', 'kube-system', 'kube-public', 'kube-node-lease'])(
  'the namespace %s cannot be deleted',
  async (name) => {
    using r = await openRegistry()
    expect(await refusal(r.api.delete(NAMESPACES, '', name, {}, asAdmin()))).toMatchObject({
      code: 403,
      message: `namespaces "${name}" is forbidden: this namespace may not be deleted`,
    })
  },
)
