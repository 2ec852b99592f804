import { expect, test } from 'vitest'
import type { Preference, Instancetype } from '../../src/kinds/instancetype.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { StatusError } from '../../src/lib/errors.ts'
import type { GraphNode } from '../../src/subresources/object-graph-nodes.ts'
import { openObjectServer } from '../helpers/object-server.ts'

const INSTANCETYPE = '/apis/instancetype.kubevirt.io/v1beta1'
const VMS = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const SUBRESOURCES = '/apis/subresources.kubevirt.io/v1/namespaces/default'

const size = {
  apiVersion: 'instancetype.kubevirt.io/v1beta1',
  kind: 'VirtualMachineClusterInstancetype',
  metadata: { name: 'small' },
  spec: { cpu: { guest: 2 }, memory: { guest: '1Gi' } },
}
const manners = {
  apiVersion: 'instancetype.kubevirt.io/v1beta1',
  kind: 'VirtualMachinePreference',
  metadata: { name: 'linux' },
  spec: { cpu: { preferredCPUTopology: 'preferCores' }, devices: { preferredDiskBus: 'virtio' } },
}
const vm = (name: string, members: object = {}) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name, namespace: 'default' },
  spec: {
    runStrategy: 'Halted',
    instancetype: { name: 'small' },
    preference: { name: 'linux', kind: 'VirtualMachinePreference' },
    template: {
      spec: { domain: { devices: {} }, volumes: [{ name: 'root', emptyDisk: { capacity: '1Gi' } }] },
    },
    ...members,
  },
})

test('a VM with an instance type passes through the whole of embedded mode', async () => {
  await using server = await openObjectServer()
  const { client } = server
  const post = <T>(path: string, body: object) => client.call<T>({ method: 'POST', path, body })
  await post<Instancetype>(`${INSTANCETYPE}/virtualmachineclusterinstancetypes`, size)
  await post<Preference>(`${INSTANCETYPE}/namespaces/default/virtualmachinepreferences`, manners)

  const created = await post<Vm>(VMS, vm('web'))
  expect(created.spec.instancetype).toEqual({ name: 'small' })
  expect(created.spec.template.spec.domain.memory).toBeUndefined()

  const expanded = {
    cpu: { sockets: 1, cores: 2, threads: 1 },
    memory: { guest: '1Gi' },
    devices: {
      disks: [{ name: 'root', disk: { bus: 'virtio' } }],
      interfaces: [{ name: 'default', masquerade: {} }],
    },
  }
  const stored = await client.call<Vm>({
    method: 'GET',
    path: `${SUBRESOURCES}/virtualmachines/web/expand-spec`,
  })
  expect(stored.spec.template.spec.domain).toMatchObject(expanded)
  const given = await client.call<Vm>({
    method: 'PUT',
    path: `${SUBRESOURCES}/expand-vm-spec`,
    body: vm('other'),
  })
  expect(given.spec.template.spec.domain).toMatchObject(expanded)

  const contradicting = { template: { spec: { domain: { devices: {}, cpu: { cores: 4 } } } } }
  const refused = await post(VMS, vm('contradicting', contradicting)).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(StatusError)
  expect(refused).toMatchObject({
    code: 422,
    details: { causes: [{ reason: 'FieldValueInvalid', field: 'spec.template.spec.domain.cpu.cores' }] },
  })
  const unreadable = { ...vm('other'), spec: { template: { spec: { domian: {} } } } }
  const strict = client.call({ method: 'PUT', path: `${SUBRESOURCES}/expand-vm-spec`, body: unreadable })
  await expect(strict).rejects.toMatchObject({ code: 400 })

  const featureGates = ['ObjectGraph']
  await client.call({
    method: 'PATCH',
    path: '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt',
    contentType: 'application/merge-patch+json',
    body: { spec: { configuration: { developerConfiguration: { featureGates } } } },
  })
  const path = `${SUBRESOURCES}/virtualmachines/web/objectgraph`
  const graph = await client.call<{ children: GraphNode[] }>({ method: 'GET', path })
  expect(graph.children.map(({ objectReference: { kind, name } }) => `${kind} ${name}`)).toEqual([
    'VirtualMachineClusterInstancetype small',
    'VirtualMachinePreference linux',
  ])
})
