import { expect, test } from 'vitest'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import type { KubeVirt, Vm } from '../../src/kinds/kubevirt.ts'
import { buildClusterExpander } from '../../src/roles/cluster-expander.ts'
import { ownArchitecture } from '../../src/roles/architecture.ts'
import { CLUSTER_PREFERENCES } from '../../src/kinds/table.ts'
import { vmOf } from '../helpers/api.ts'
import { memoryStore } from '../helpers/memory-store.ts'

const META = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }
const preference = {
  apiVersion: 'instancetype.kubevirt.io/v1beta1',
  kind: 'VirtualMachineClusterPreference',
  metadata: { ...META, name: 'linux' },
  spec: {},
}

function kubeVirt(namespace: string, defaultArchitecture: string, configuration = {}): KubeVirt {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { ...META, namespace, name: 'kubevirt' },
    spec: { configuration },
    status: { phase: 'Deployed', defaultArchitecture },
  }
}

async function expand(kubeVirts: KubeVirt[], spec: Partial<Vm['spec']['template']['spec']> = {}) {
  const { store } = memoryStore([CLUSTER_PREFERENCES, preference])
  const expander = buildClusterExpander(store, 'kubevirt', async () => kubeVirts)
  const template = { spec: { domain: { devices: {} }, ...spec } }
  const vm = await expander.expandVm(vmOf({ preference: { name: 'linux' }, template }), mayUseAll)
  const { architecture, domain } = vm.spec.template.spec
  return [architecture, domain.machine?.type]
}

test.each([
  ['arm64', 'virt'],
  ['s390x', 's390-ccw-virtio'],
  ['amd64', 'q35'],
])('what a VM leaves open is for the architecture of the cluster: %s', async (architecture, machine) => {
  expect(await expand([kubeVirt('other', 'ppc64le'), kubeVirt('kubevirt', architecture)])).toEqual([
    architecture,
    machine,
  ])
})

test('what the VM says of its architecture counts', async () => {
  expect(await expand([kubeVirt('kubevirt', 'amd64')], { architecture: 'arm64' })).toEqual(['arm64', 'virt'])
})

test('the machine type of an architecture comes from the configuration', async () => {
  const configuration = { architectureConfiguration: { arm64: { machineType: 'virt-9.0' } } }
  expect(await expand([kubeVirt('kubevirt', 'arm64', configuration)])).toEqual(['arm64', 'virt-9.0'])
})

test('before there is a KubeVirt object it is the architecture of this process', async () => {
  expect((await expand([]))[0]).toBe(ownArchitecture())
})
