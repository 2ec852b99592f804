import { describe, expect, test } from 'vitest'
import { configurationOf, hasGate } from '../../src/kinds/configuration.ts'
import { isGateOn } from '../../src/kinds/gates.ts'
import type { KubeVirt } from '../../src/kinds/kubevirt.ts'

describe('a feature gate', () => {
  test.each([
    ['that is generally available is on, whatever is listed', 'LiveMigration', [], ['LiveMigration'], true],
    ['in beta is on', 'Snapshot', [], [], true],
    ['in beta is off where it is listed as disabled', 'Snapshot', [], ['Snapshot'], false],
    ['in beta is on where it is listed both ways', 'Snapshot', ['Snapshot'], ['Snapshot'], true],
    ['in alpha is off', 'Sidecar', [], [], false],
    ['in alpha is on where it is listed', 'Sidecar', ['Sidecar'], [], true],
    ['that is deprecated is on where it is listed', 'HotplugVolumes', ['HotplugVolumes'], [], true],
    ['that nobody knows is off', 'Nonsense', ['Nonsense'], [], false],
    ['is spelt exactly', 'Sidecar', ['sidecar'], [], false],
  ])('%s', (_what, gate, enabled, disabled, expected) => {
    expect(isGateOn(gate, enabled, disabled)).toBe(expected)
  })
})

describe('the configuration of KubeVirt', () => {
  const kubeVirt = (creationTimestamp: string, configuration: Record<string, unknown>): KubeVirt => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { name: 'kv', namespace: 'kubevirt', uid: 'u', resourceVersion: '1', creationTimestamp },
    spec: { configuration },
  })

  test('is empty without an object', () => {
    expect(configurationOf([])).toEqual({})
  })

  test('is the oldest object’s where there are several', () => {
    const objects = [
      kubeVirt('2026-02-01T00:00:00Z', { cpuModel: 'new' }),
      kubeVirt('2026-01-01T00:00:00Z', { cpuModel: 'old' }),
    ]
    expect(configurationOf(objects)).toEqual({ cpuModel: 'old' })
  })

  test('says which gates are on, whatever else stands in the lists', () => {
    expect(hasGate({}, 'Sidecar')).toBe(false)
    expect(hasGate({ developerConfiguration: { featureGates: ['Sidecar', 7] } }, 'Sidecar')).toBe(true)
    expect(hasGate({ developerConfiguration: { featureGates: 'Sidecar' } }, 'Sidecar')).toBe(false)
  })
})
