import { expect, test } from 'vitest'
import type { Vm, VmSpec } from '../../src/kinds/kubevirt.ts'
import { CLUSTER_INSTANCETYPES, INSTANCETYPES, PREFERENCES } from '../../src/kinds/table.ts'
import { ALICE, apiOf, BASE, vmOf } from '../helpers/api.ts'
import { objectOf } from '../instancetype/world.ts'

const instancetype = { name: 'small', kind: 'VirtualMachineInstancetype' }
const preference = { name: 'linux', kind: 'VirtualMachinePreference' }

function serverOf(spec: Partial<VmSpec>, status?: Vm['status'], configuration = {}) {
  const api = apiOf({ vm: vmOf(spec, status), configuration })
  const size = { cpu: { guest: 2 }, memory: { guest: '1Gi' } }
  api.put(INSTANCETYPES, objectOf(INSTANCETYPES, 'small', { spec: size }, 'ns1'))
  api.put(
    CLUSTER_INSTANCETYPES,
    objectOf(CLUSTER_INSTANCETYPES, 'small', { spec: { ...size, cpu: { guest: 8 } } }),
  )
  const spread = { preferredCPUTopology: 'spread', spreadOptions: { ratio: 2 } }
  const devices = { preferredDiskBus: 'virtio', preferredInterfaceModel: 'e1000' }
  api.put(PREFERENCES, objectOf(PREFERENCES, 'linux', { spec: { cpu: spread, devices } }, 'ns1'))
  const quiet = { devices: { preferredAutoattachPodInterface: false } }
  api.put(PREFERENCES, objectOf(PREFERENCES, 'quiet', { spec: quiet }, 'ns1'))
  return api
}
async function expand(spec: Partial<VmSpec>, status?: Vm['status'], configuration = {}) {
  const { app, patches } = serverOf(spec, status, configuration)
  const response = await app.inject({ url: `${BASE}/virtualmachines/vm1/expand-spec`, headers: ALICE })
  expect(patches).toEqual([])
  return { code: response.statusCode, body: response.json() }
}

test('a VM without references is answered as it is', async () => {
  const vm = vmOf({ runStrategy: 'Halted' })
  const { code, body } = await expand({ runStrategy: 'Halted' })
  expect(code).toBe(200)
  expect(body).toMatchObject({ apiVersion: vm.apiVersion, kind: vm.kind, spec: vm.spec })
  expect(body.spec).toEqual(vm.spec)
})

test('instance type, preference and defaults are written out, and the references are gone', async () => {
  const template = {
    metadata: { labels: { a: 'b' } },
    spec: { domain: { devices: {} }, volumes: [{ name: 'root', containerDisk: { image: 'x:1' } }] },
  }
  const status = { instancetypeRef: { name: 'small' }, preferenceRef: { name: 'linux' }, created: true }
  const { code, body } = await expand({ runStrategy: 'Halted', instancetype, preference, template }, status)
  expect(code).toBe(200)
  expect(body.status).toEqual({ created: true })
  expect(body.spec).toEqual({
    runStrategy: 'Halted',
    template: {
      metadata: { labels: { a: 'b' } },
      spec: {
        architecture: 'amd64',
        domain: {
          cpu: { sockets: 1, cores: 2, threads: 1 },
          memory: { guest: '1Gi' },
          machine: { type: 'q35' },
          devices: {
            disks: [{ name: 'root', disk: { bus: 'virtio' } }],
            interfaces: [{ name: 'default', bridge: {}, model: 'e1000' }],
          },
        },
        networks: [{ name: 'default', pod: {} }],
        evictionStrategy: 'None',
        volumes: [{ name: 'root', containerDisk: { image: 'x:1', imagePullPolicy: 'IfNotPresent' } }],
      },
    },
  })
})

test('the kind is that of the cluster where the VM does not say', async () => {
  const { body } = await expand({ instancetype: { name: 'small' } })
  expect(body.spec.template.spec.domain.cpu).toMatchObject({ sockets: 8 })
})

test('a guest that is to have no interface gets none', async () => {
  const quiet = { name: 'quiet', kind: 'VirtualMachinePreference' }
  const { body } = await expand({ preference: quiet })
  expect(body.spec.template.spec.networks).toBeUndefined()
  expect(body.spec.template.spec.domain.devices).toEqual({ autoattachPodInterface: false })
})

test('the defaults are those that the KubeVirt object says', async () => {
  const configuration = { machineType: 'pc-q35-7.2', network: { defaultNetworkInterface: 'masquerade' } }
  const { body } = await expand({ instancetype }, undefined, configuration)
  expect(body.spec.template.spec.domain).toMatchObject({
    machine: { type: 'pc-q35-7.2' },
    devices: { interfaces: [{ name: 'default', masquerade: {} }] },
  })
})

test.each<[string, Partial<VmSpec>, RegExp]>([
  ['is not there', { instancetype: { name: 'none' } }, /no such object/],
  [
    'contradicts the template',
    { instancetype, template: { spec: { domain: { devices: {}, cpu: { cores: 1 } } } } },
    /remove spec\.template\.spec\.domain\.cpu\.cores/,
  ],
  ['cannot be inferred', { instancetype: { inferFromVolume: 'root' } }, /cannot be inferred/],
])('an instance type that %s is an error inside', async (_what, spec, message) => {
  const { code, body } = await expand(spec)
  expect(code).toBe(500)
  expect(body).toMatchObject({
    kind: 'Status',
    reason: 'InternalError',
    message: expect.stringMatching(message),
  })
})

test('a VM that is not there is not found', async () => {
  const { app } = apiOf({})
  const response = await app.inject({ url: `${BASE}/virtualmachines/vm1/expand-spec`, headers: ALICE })
  expect(response.json()).toMatchObject({ code: 404, details: { kind: 'virtualmachine', name: 'vm1' } })
})

test('the subresource is asked for, with the verb get', async () => {
  const { app, reviews } = serverOf({})
  await app.inject({ url: `${BASE}/virtualmachines/vm1/expand-spec`, headers: ALICE })
  expect(reviews.map(({ attributes }) => attributes)).toMatchObject([
    { verb: 'get', resource: 'virtualmachines', subresource: 'expand-spec', namespace: 'ns1', name: 'vm1' },
  ])
  const unknown = await app.inject({ url: `${BASE}/virtualmachines/vm1/expand-spec` })
  expect([401, 403]).toContain(unknown.statusCode)
})
