import { expect, test } from 'vitest'
import { INSTANCETYPES } from '../../src/kinds/table.ts'
import { apiOf, put } from '../helpers/api.ts'
import { objectOf } from '../instancetype/world.ts'

const instancetype = { name: 'small', kind: 'VirtualMachineInstancetype' }
const template = { spec: { domain: { devices: {} } } }
const vm = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', spec: { runStrategy: 'Halted', template } }

async function expand(body: unknown) {
  const { app, put: store, patches } = apiOf({})
  const spec = { cpu: { guest: 2 }, memory: { guest: '1Gi' } }
  store(INSTANCETYPES, objectOf(INSTANCETYPES, 'small', { spec }, 'ns1'))
  const response = await put(app, '/expand-vm-spec', typeof body === 'string' ? body : JSON.stringify(body))
  expect(patches).toEqual([])
  return { code: response.statusCode, body: response.json() }
}

test('a VM without references is answered as it is, in the namespace of the path', async () => {
  expect(await expand(vm)).toEqual({ code: 200, body: { ...vm, metadata: { namespace: 'ns1' } } })
})

test('what the VM refers to is written out', async () => {
  const metadata = { name: 'web', namespace: 'ns1', labels: { a: 'b' } }
  const { code, body } = await expand({ ...vm, metadata, spec: { ...vm.spec, instancetype } })
  expect(code).toBe(200)
  expect(body).toMatchObject({ apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', metadata })
  expect(body.spec.instancetype).toBeUndefined()
  expect(body.spec.template.spec.domain).toMatchObject({
    cpu: { sockets: 2, cores: 1, threads: 1 },
    memory: { guest: '1Gi' },
    machine: { type: 'q35' },
  })
})

test('kind and version are echoed, and stay away where they are absent', async () => {
  const { body } = await expand({ spec: { template: {}, instancetype } })
  expect(Object.keys(body).toSorted()).toEqual(['metadata', 'spec'])
  expect(body.spec.template.spec.domain.cpu).toMatchObject({ sockets: 2 })
  expect((await expand({ ...vm, kind: 'Something' })).body.kind).toBe('Something')
})

test('unknown members of metadata and status are dropped', async () => {
  const { code, body } = await expand({
    ...vm,
    metadata: { name: 'a', color: 'red' },
    status: { mood: 'good' },
  })
  expect(code).toBe(200)
  expect(body).toMatchObject({ metadata: { name: 'a', namespace: 'ns1' }, status: {} })
  expect(JSON.stringify(body)).not.toMatch(/red|good/)
})

test.each<[string, unknown, RegExp]>([
  ['nothing', '', /must be a VirtualMachine as JSON/],
  ['no JSON', 'spec: {}', /must be a VirtualMachine as JSON/],
  ['a list', [], /it is no object/],
  ['null', 'null', /it is no object/],
])('a body of %s is refused', async (_what, given, message) => {
  const { code, body } = await expand(given)
  expect(code).toBe(400)
  expect(body).toMatchObject({
    kind: 'Status',
    reason: 'BadRequest',
    message: expect.stringMatching(message),
  })
})

test.each<[string, object, string[]]>([
  ['no spec', { kind: 'VirtualMachine' }, ['spec']],
  ['no template', { spec: { runStrategy: 'Halted' } }, ['spec.template']],
  ['an unknown member at the top', { ...vm, color: 'red' }, ['color']],
  [
    'an unknown member of the spec',
    { spec: { template: { spec: { domian: {}, domain: { devices: { discs: [] } } } } } },
    ['spec.template.spec.domian', 'spec.template.spec.domain.devices.discs'],
  ],
  ['a member of a wrong type', { spec: { template, running: 'yes' } }, ['spec.running']],
])('a VM with %s is refused, with a cause for each', async (_what, given, fields) => {
  const { code, body } = await expand(given)
  expect(code).toBe(400)
  expect(body).toMatchObject({ kind: 'Status', reason: 'BadRequest' })
  expect(body.details.causes).toHaveLength(fields.length)
  for (const [index, field] of fields.entries()) {
    expect(body.details.causes[index]).toEqual({ message: expect.stringContaining(field) })
  }
})

test('B7: a VM of another namespace is refused', async () => {
  const { code, body } = await expand({ ...vm, metadata: { namespace: 'ns2' } })
  expect(code).toBe(400)
  expect(body.message).toMatch(/"ns2": it must be "ns1"/)
})

test.each<[string, object, RegExp, string[] | undefined]>([
  ['is not there', { instancetype: { name: 'none' } }, /no such object/, undefined],
  [
    'contradicts the template',
    { instancetype, template: { spec: { domain: { devices: {}, memory: { guest: '2Gi' } } } } },
    /contradicts the instance type/,
    ['spec.template.spec.domain.memory.guest'],
  ],
  ['cannot be inferred', { instancetype: { inferFromVolume: 'root' } }, /no volume "root"/, undefined],
])('an instance type that %s is refused', async (_what, spec, message, fields) => {
  const { code, body } = await expand({ ...vm, spec: { ...vm.spec, ...spec } })
  expect(code).toBe(400)
  expect(body).toMatchObject({ reason: 'BadRequest', message: expect.stringMatching(message) })
  expect(body.details?.causes.map(({ field }: { field: string }) => field)).toEqual(fields)
})

test('the resource is asked for in the namespace, with the verb update', async () => {
  const { app, reviews } = apiOf({})
  await put(app, '/expand-vm-spec', JSON.stringify(vm))
  expect(reviews.map(({ attributes }) => attributes)).toMatchObject([
    { verb: 'update', resource: 'expand-vm-spec', namespace: 'ns1' },
  ])
})
