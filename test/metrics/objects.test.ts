/** What is told of one object, by what it says. */
import { expect, test } from 'vitest'
import type { PersistentVolumeClaim } from '../../src/kinds/core.ts'
import type { Vm, Vmi, Vmim, VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { Condition } from '../../src/kinds/meta.ts'
import { migrationReadings, migrationTimes } from '../../src/metrics/migrations.ts'
import type { Reading } from '../../src/metrics/reading.ts'
import { vmiReadings } from '../../src/metrics/vmis.ts'
import { labelChoice, specReadings, vmReadings } from '../../src/metrics/vms.ts'
import { vmiOf, vmOf } from '../helpers/api.ts'

const ALL = { claim: () => undefined, isTold: () => true }
const ID = { name: 'vm1', namespace: 'ns1' }

function labelsOf(readings: readonly Reading[], name: string): Record<string, string>[] {
  return readings.filter((reading) => reading.name === name).map(({ labels }) => labels)
}

function condition(type: string, lastTransitionTime: string): Condition {
  return { type, status: 'True', lastTransitionTime }
}

test.each([
  ['Provisioning', 'starting'],
  ['WaitingForVolumeBinding', 'starting'],
  ['Running', 'running'],
  ['Migrating', 'migrating'],
  ['Paused', 'non_running'],
  ['Terminating', 'non_running'],
  ['CrashLoopBackOff', 'error'],
  ['DataVolumeError', 'error'],
  ['WaitingForReceiver', '<unknown>'],
])('a VM that is %s is in the group %s, which alone has a time', (printableStatus, group) => {
  const vm = vmOf(
    {},
    {
      printableStatus,
      conditions: [
        condition('Ready', '2026-01-01T00:00:00Z'),
        condition('Paused', '2026-01-01T00:01:00Z'),
        condition('LiveMigratable', '2026-01-02T00:00:00Z'),
      ],
    },
  )
  const readings = vmReadings(vm, ALL)
  expect(labelsOf(readings, 'kubevirt_vm_info')).toMatchObject([
    { status: printableStatus.toLowerCase(), status_group: group },
  ])
  const times = readings.filter(({ name }) => name.endsWith('_status_last_transition_timestamp_seconds'))
  expect(times.map(({ labels }) => labels)).toEqual(Array.from({ length: 5 }, () => ID))
  expect(times.filter(({ value }) => value > 0)).toEqual(
    group === '<unknown>'
      ? []
      : [
          {
            name: `kubevirt_vm_${group}_status_last_transition_timestamp_seconds`,
            labels: ID,
            value: Date.parse('2026-01-01T00:01:00Z') / 1000,
          },
        ],
  )
})

test('what a VM is for stands in the annotations of its template', () => {
  const vm: Vm = vmOf({
    instancetype: { name: 'u1.small' },
    preference: { name: 'debian' },
    template: {
      metadata: {
        annotations: {
          'vm.kubevirt.io/os': 'debian12',
          'vm.kubevirt.io/workload': 'server',
          'vm.kubevirt.io/flavor': 'small',
        },
      },
      spec: { domain: { devices: {}, machine: { type: 'q35' } } },
    },
  })
  expect(labelsOf(vmReadings(vm, ALL), 'kubevirt_vm_info')).toMatchObject([
    {
      os: 'debian12',
      workload: 'server',
      flavor: 'small',
      machine_type: 'q35',
      instance_type: 'u1.small',
      preference: 'debian',
    },
  ])
})

test.each<[string, Record<string, string> | undefined, string[]]>([
  ['nothing', undefined, ['a', 'b']],
  ['an ignore list', { ignorelist: 'b' }, ['a']],
  ['an allow list', { allowlist: 'b, c' }, ['b']],
  ['both', { allowlist: '*', ignorelist: 'a,b' }, []],
])('of labels those are told that a ConfigMap with %s lets through', (_what, data, told) => {
  expect(['a', 'b'].filter(labelChoice(data))).toEqual(told)
})

test('the size of each claim of a VM is told, as it is or else as it was asked for', () => {
  const claimOf = (status: object): PersistentVolumeClaim => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'ns1', uid: 'c1', resourceVersion: '1', creationTimestamp: '' },
    spec: { volumeMode: 'Block', resources: { requests: { storage: '1Gi' } } },
    ...status,
  })
  const vm = vmOf({
    template: {
      spec: {
        domain: { devices: {} },
        volumes: [
          { name: 'root', persistentVolumeClaim: { claimName: 'data' } },
          { name: 'other', containerDisk: { image: 'x' } },
        ],
      },
    },
  })
  const sizeOf = (claim: PersistentVolumeClaim | undefined) =>
    vmReadings(vm, { ...ALL, claim: () => claim }).filter(({ name }) => name.includes('disk_allocated'))
  const labels = { ...ID, persistentvolumeclaim: 'data', volume_mode: 'Block', device: 'root' }
  const name = 'kubevirt_vm_disk_allocated_size_bytes'
  expect(sizeOf(claimOf({ status: { capacity: { storage: '2Gi' } } }))).toEqual([
    { name, labels, value: 2 * 1024 ** 3 },
  ])
  expect(sizeOf(claimOf({}))).toEqual([{ name, labels, value: 1024 ** 3 }])
  expect(sizeOf(undefined)).toEqual([])
})

test('what a VM asks for is told by where it says so; what it does not say is left out', () => {
  const spec: VmiSpec = {
    domain: {
      devices: {},
      cpu: { cores: 2, sockets: 1 },
      memory: { hugepages: { pageSize: '2Mi' } },
      resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '2Gi' } },
    },
  }
  const told = specReadings({ ...vmOf().metadata }, spec)
    .filter(({ name }) => name.includes('_resource_'))
    .map(({ name, labels: { resource, unit, source }, value }) => [
      name.replace('kubevirt_vm_resource_', ''),
      resource,
      unit,
      source,
      value,
    ])
  expect(told).toEqual([
    ['requests', 'cpu', 'cores', 'domain', 2],
    ['requests', 'cpu', 'sockets', 'domain', 1],
    ['requests', 'memory', 'bytes', 'domain', 1024 ** 3],
    ['requests', 'memory', 'bytes', 'guest_effective', 1024 ** 3],
    ['requests', 'memory', 'bytes', 'hugepages', 2 * 1024 ** 2],
    ['requests', 'cpu', 'cores', 'requests', 0.5],
    ['limits', 'memory', 'bytes', undefined, 2 * 1024 ** 3],
  ])
})

test('network cards are told by how they are bound and to what', () => {
  const spec: VmiSpec = {
    domain: {
      devices: {
        interfaces: [
          { name: 'default', masquerade: {}, model: 'virtio' },
          { name: 'lan', bridge: {} },
          { name: 'fast', binding: { name: 'own' } },
        ],
      },
    },
    networks: [
      { name: 'default', pod: {} },
      { name: 'lan', multus: { networkName: 'ns2/lan' } },
    ],
  }
  expect(labelsOf(specReadings(vmOf().metadata, spec), 'kubevirt_vm_vnic_info')).toEqual([
    {
      ...ID,
      vnic_name: 'default',
      binding_type: 'core',
      network: 'pod networking',
      binding_name: 'masquerade',
      model: 'virtio',
    },
    {
      ...ID,
      vnic_name: 'lan',
      binding_type: 'core',
      network: 'ns2/lan',
      binding_name: 'bridge',
      model: '<none>',
    },
    {
      ...ID,
      vnic_name: 'fast',
      binding_type: 'plugin',
      network: '',
      binding_name: 'own',
      model: '<none>',
    },
  ])
})

test.each<[string, Partial<VmiSpec>, Condition[], string | undefined, number]>([
  ['names no strategy', {}, [], undefined, 0],
  [
    'is to be moved and can be',
    { evictionStrategy: 'LiveMigrate' },
    [condition('LiveMigratable', '')],
    undefined,
    0,
  ],
  ['is to be moved and cannot be', { evictionStrategy: 'LiveMigrate' }, [], undefined, 1],
  ['is to be moved where all are', {}, [], 'LiveMigrate', 1],
  ['is to be moved if that is possible', { evictionStrategy: 'LiveMigrateIfPossible' }, [], undefined, 0],
])('an instance that %s', (_what, spec, conditions, byDefault, stuck) => {
  const readings = vmiReadings(vmiOf('Running', { spec, status: { conditions } }), byDefault)
  const labels = { ...ID, node: 'n1' }
  expect(readings).toContainEqual({ name: 'kubevirt_vmi_non_evictable', labels, value: stuck })
  expect(labelsOf(readings, 'kubevirt_vmi_info')).toMatchObject([{ evictable: String(stuck === 0) }])
})

test('an instance tells what its guest is, and leaves out what nobody knows', () => {
  const guestOSInfo = { name: 'Debian', kernelRelease: '6.1', machine: 'x86_64', versionId: '12' }
  const [labels] = labelsOf(
    vmiReadings(vmiOf('Running', { status: { guestOSInfo } }), undefined),
    'kubevirt_vmi_info',
  )
  expect(labels).toEqual({
    ...ID,
    node: 'n1',
    phase: 'running',
    guest_os_name: 'Debian',
    guest_os_kernel_release: '6.1',
    guest_os_machine: 'x86_64',
    guest_os_version_id: '12',
    evictable: 'true',
    outdated: 'false',
  })
})

test('addresses that a guest says twice are told once', () => {
  const interfaces = [
    { name: 'default', interfaceName: 'eth0', ipAddress: '10.0.2.15', ipAddresses: ['10.0.2.15', 'fe80::1'] },
    { interfaceName: 'lo', ipAddress: '127.0.0.1' },
    { interfaceName: 'lo', ipAddress: '127.0.0.1' },
  ]
  const readings = vmiReadings(vmiOf('Running', { status: { interfaces } }), undefined)
  const told = labelsOf(readings, 'kubevirt_vmi_status_addresses')
  expect(
    told.map(({ vnic_name, interface_name, address, type }) => [vnic_name, interface_name, address, type]),
  ).toEqual([
    ['default', 'eth0', '10.0.2.15', 'ExternalInterface'],
    ['default', 'eth0', 'fe80::1', 'ExternalInterface'],
    ['', 'lo', '127.0.0.1', 'SystemInterface'],
  ])
})

test('migrations are counted by phase, and what came of each is told', () => {
  const phases = [
    'Pending',
    'Scheduling',
    'Scheduled',
    'TargetReady',
    'Running',
    'Succeeded',
    'Failed',
    '',
  ] as const
  const migrations = phases.map((phase, index): Vmim => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { ...vmOf().metadata, name: `m${index}` },
    spec: { vmiName: 'vm1' },
    status: { phase },
  }))
  const told = migrationReadings(migrations).map(({ name, labels, value }) => [
    name.replace('kubevirt_vmi_migration', ''),
    labels['vmim'],
    value,
  ])
  expect(told).toEqual([
    ['s_in_pending_phase', undefined, 1],
    ['s_in_scheduling_phase', undefined, 1],
    ['s_in_running_phase', undefined, 3],
    ['s_in_unset_phase', undefined, 1],
    ['_succeeded', 'm5', 1],
    ['_failed', 'm6', 1],
  ])
})

test('when the last migration of an instance began and ended is told', () => {
  const state = {
    migrationUid: 'm-uid',
    startTimestamp: '2026-01-01T00:00:00Z',
    endTimestamp: '2026-01-01T00:01:00Z',
  }
  const timesOf = (more: object): Reading[] => {
    const vmi: Vmi = vmiOf('Running', { status: { migrationState: { ...state, ...more } } })
    return migrationTimes(vmi, (uid) => (uid === 'm-uid' ? 'move' : undefined))
  }
  const labels = { ...ID, node: 'n1', migration_name: 'move' }
  const start = {
    name: 'kubevirt_vmi_migration_start_time_seconds',
    labels,
    value: Date.parse(state.startTimestamp) / 1000,
  }
  const end = (status: string) => ({
    name: 'kubevirt_vmi_migration_end_time_seconds',
    labels: { ...labels, status },
    value: Date.parse(state.endTimestamp) / 1000,
  })
  expect(timesOf({})).toEqual([start])
  expect(timesOf({ completed: true })).toEqual([start, end('succeeded')])
  expect(timesOf({ completed: true, failed: true })).toEqual([start, end('failed')])
  expect(migrationTimes(vmiOf(), () => undefined)).toEqual([])
})
