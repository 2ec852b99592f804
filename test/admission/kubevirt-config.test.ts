import { describe, expect, test } from 'vitest'
import { configOf, configurationFault, kubeVirtInUse } from '../../src/admission/kubevirt-config.ts'
import type { KubeVirt } from '../../src/kinds/kubevirt.ts'

const META = { uid: 'u', resourceVersion: '1', creationTimestamp: '2030-01-01T00:00:00Z' }

function kubeVirt(change: { metadata?: object; spec?: object; status?: object } = {}): KubeVirt {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { ...META, namespace: 'kubevirt', name: 'kubevirt', ...change.metadata },
    spec: { configuration: { machineType: 'pc-q35-7.2' }, ...change.spec },
    status: { phase: 'Deployed', ...change.status },
  }
}

const here = { namespace: 'kubevirt', architecture: 'arm64' }

describe('which KubeVirt object counts', () => {
  test.each<[string, KubeVirt, boolean]>([
    ['deployed', kubeVirt(), true],
    ['in another namespace', kubeVirt({ metadata: { namespace: 'other' } }), false],
    ['going away', kubeVirt({ metadata: { deletionTimestamp: '2030-01-01T00:00:00Z' } }), false],
    ['without a phase', kubeVirt({ status: { phase: '' } }), false],
  ])('one that is %s', (_case, object, counts) => {
    expect(kubeVirtInUse([object], 'kubevirt') === object).toBe(counts)
  })
})

test('the architecture is that of the status, an empty one too, and ours without an object', () => {
  expect(configOf(kubeVirt({ status: { defaultArchitecture: 's390x' } }), here).defaultArchitecture).toBe(
    's390x',
  )
  expect(configOf(kubeVirt(), here).defaultArchitecture).toBe('')
  expect(configOf(undefined, here).defaultArchitecture).toBe('arm64')
})

test('the configuration lies over the defaults, and accounts are those of the namespace', () => {
  const config = configOf(kubeVirt(), { ...here, namespace: 'virt' })
  expect(config.machines.amd64.machineType).toBe('pc-q35-7.2')
  expect(config.cpuRequest).toBe('100m')
  expect(config.installNamespace).toBe('virt')
})

test.each<[object, RegExp | undefined]>([
  [{}, undefined],
  [{ imagePullPolicy: 'Always', network: { defaultNetworkInterface: 'masquerade' } }, undefined],
  [{ developerConfiguration: { memoryOvercommit: 100, cpuAllocationRatio: 1 } }, undefined],
  [{ developerConfiguration: { pvcTolerateLessSpaceUpToPercent: 0 } }, undefined],
  [{ imagePullPolicy: 'Sometimes' }, /imagePullPolicy/],
  [{ developerConfiguration: { memoryOvercommit: 0 } }, /memoryOvercommit/],
  [{ developerConfiguration: { cpuAllocationRatio: -1 } }, /cpuAllocationRatio/],
  [{ developerConfiguration: { pvcTolerateLessSpaceUpToPercent: 101 } }, /from 0 to 100/],
  [{ network: { defaultNetworkInterface: 'passt' } }, /defaultNetworkInterface/],
])('%j', (configuration, fault) => {
  const found = configurationFault({ ...configuration })
  expect(found === undefined ? undefined : fault?.test(found)).toBe(fault && true)
})
