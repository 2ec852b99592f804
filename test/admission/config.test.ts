import { expect, test } from 'vitest'
import { defaultConfig, machinesOf, readConfig } from '../../src/admission/config.ts'
import { isGateOn } from '../../src/kinds/gates.ts'

const base = defaultConfig('amd64')

test.each([
  ['Snapshot', [], [], true],
  ['Snapshot', [], ['Snapshot'], false],
  ['Snapshot', ['Snapshot'], ['Snapshot'], true],
  ['HostDisk', [], [], false],
  ['HostDisk', ['HostDisk'], [], true],
  ['Nonsense', ['Nonsense'], [], false],
])('the gate %s with %j on and %j off is on: %s', (gate, enabled, disabled, expected) => {
  expect(isGateOn(gate, enabled, disabled)).toBe(expected)
})

test('without a KubeVirt object the defaults hold', () => {
  const read = readConfig(base)
  expect({ ...read, isGateOn: undefined }).toEqual({ ...base, isGateOn: undefined })
  expect(read.isGateOn('HostDisk')).toBe(false)
})

test('what the KubeVirt object says goes over the defaults', () => {
  const read = readConfig(base, {
    evictionStrategy: 'LiveMigrate',
    cpuModel: 'Skylake',
    network: { defaultNetworkInterface: 'masquerade', permitBridgeInterfaceOnPodNetwork: false },
    vmRolloutStrategy: 'Stage',
    liveUpdateConfiguration: { maxHotplugRatio: 2, maxCpuSockets: 8 },
    developerConfiguration: { featureGates: ['HostDisk'], disabledFeatureGates: ['Snapshot'] },
    architectureConfiguration: { amd64: { machineType: 'pc-q35-9', emulatedMachines: ['pc-q35-9'] } },
  })
  expect(read).toMatchObject({
    evictionStrategy: 'LiveMigrate',
    cpuModel: 'Skylake',
    cpuRequest: '100m',
    defaultNetworkInterface: 'masquerade',
    permitBridgeOnPodNetwork: false,
    isLiveUpdate: false,
    maxHotplugRatio: 2,
    maxCpuSockets: 8,
  })
  expect([read.isGateOn('HostDisk'), read.isGateOn('Snapshot'), read.isGateOn('Template')]).toEqual([
    true,
    false,
    true,
  ])
  expect(machinesOf(read, 'amd64')).toEqual({ machineType: 'pc-q35-9', emulatedMachines: ['pc-q35-9'] })
  expect(machinesOf(read, 'arm64')).toEqual({ machineType: 'virt', emulatedMachines: ['virt*'] })
  expect(machinesOf(read, 'unheard-of')).toEqual(machinesOf(read, 'amd64'))
})

test('one machine type for all goes before those of the architectures', () => {
  const read = readConfig(base, { machineType: 'q35', emulatedMachines: [] })
  expect(machinesOf(read, 'arm64')).toEqual({ machineType: 'q35', emulatedMachines: [] })
})

test('values that make no sense change nothing', () => {
  expect(
    readConfig(base, { network: { defaultNetworkInterface: 'carrier-pigeon' }, evictionStrategy: 7 }),
  ).toMatchObject({
    defaultNetworkInterface: 'bridge',
    evictionStrategy: 'None',
  })
})
