import { expect, test } from 'vitest'
import { findConflicts } from '../../src/instancetype/conflicts.ts'
import type { InstancetypeSpec } from '../../src/kinds/instancetype.ts'
import type { VmiSpec } from '../../src/kinds/kubevirt.ts'

const B = 'spec.template.spec'
const small: InstancetypeSpec = { cpu: { guest: 1 }, memory: { guest: '1Gi' } }

const conflictsOf = (spec: object, instancetype: InstancetypeSpec = small, annotations = {}) => {
  // A test hands in what a client may send: a spec without devices, too.
  const template = { metadata: { annotations }, spec: { domain: {}, ...spec } as VmiSpec }
  return [...findConflicts(template, instancetype)].map(({ field }) => field)
}
const domain = (domain: object) => ({ domain })

test.each<[string, object, InstancetypeSpec, string]>([
  ['VM-IT-001', { nodeSelector: {} }, { ...small, nodeSelector: { a: 'b' } }, `${B}.nodeSelector`],
  ['VM-IT-002', { schedulerName: 'a' }, { ...small, schedulerName: 'b' }, `${B}.schedulerName`],
  [
    'VM-IT-003',
    domain({ resources: { requests: { cpu: '1' } } }),
    small,
    `${B}.domain.resources.requests.cpu`,
  ],
  ['VM-IT-004', domain({ resources: { limits: { cpu: '1' } } }), small, `${B}.domain.resources.limits.cpu`],
  ['VM-IT-005', domain({ cpu: { sockets: 1 } }), small, `${B}.domain.cpu.sockets`],
  ['VM-IT-006', domain({ cpu: { cores: 1 } }), small, `${B}.domain.cpu.cores`],
  ['VM-IT-007', domain({ cpu: { threads: 1 } }), small, `${B}.domain.cpu.threads`],
  ['VM-IT-008', domain({ cpu: { model: 'a' } }), { cpu: { guest: 1, model: 'b' } }, `${B}.domain.cpu.model`],
  [
    'VM-IT-009',
    domain({ cpu: { dedicatedCpuPlacement: true } }),
    { cpu: { guest: 1, dedicatedCPUPlacement: false } },
    `${B}.domain.cpu.dedicatedCPUPlacement`,
  ],
  [
    'VM-IT-010',
    domain({ cpu: { isolateEmulatorThread: true } }),
    { cpu: { guest: 1, isolateEmulatorThread: false } },
    `${B}.domain.cpu.isolateEmulatorThread`,
  ],
  [
    'VM-IT-011',
    domain({ cpu: { numa: {} } }),
    { cpu: { guest: 1, numa: { guestMappingPassthrough: {} } } },
    `${B}.domain.cpu.numa`,
  ],
  [
    'VM-IT-012',
    domain({ cpu: { realtime: {} } }),
    { cpu: { guest: 1, realtime: {} } },
    `${B}.domain.cpu.realtime`,
  ],
  ['VM-IT-013', domain({ memory: { guest: '1Gi' } }), small, `${B}.domain.memory.guest`],
  [
    'VM-IT-014',
    domain({ memory: { hugepages: { pageSize: '2Mi' } } }),
    { memory: { guest: '1Gi', hugepages: { pageSize: '1Gi' } } },
    `${B}.domain.memory.hugepages`,
  ],
  [
    'VM-IT-015',
    domain({ memory: { maxGuest: '2Gi' } }),
    { memory: { guest: '1Gi', maxGuest: '4Gi' } },
    `${B}.domain.memory.maxGuest`,
  ],
  [
    'VM-IT-016',
    domain({ resources: { requests: { memory: '1Gi' } } }),
    small,
    `${B}.domain.resources.requests.memory`,
  ],
  [
    'VM-IT-017',
    domain({ resources: { limits: { memory: '1Gi' } } }),
    small,
    `${B}.domain.resources.limits.memory`,
  ],
  [
    'VM-IT-018',
    domain({ ioThreads: { supplementalPoolThreadCount: 1 } }),
    { ...small, ioThreads: { supplementalPoolThreadCount: 2 } },
    `${B}.domain.ioThreads.supplementalPoolThreadCount`,
  ],
  [
    'VM-IT-019',
    domain({ ioThreadsPolicy: 'auto' }),
    { ...small, ioThreadsPolicy: 'shared' },
    `${B}.domain.ioThreadsPolicy`,
  ],
  [
    'VM-IT-020',
    domain({ launchSecurity: { sev: {} } }),
    { ...small, launchSecurity: { snp: {} } },
    `${B}.domain.launchSecurity`,
  ],
  [
    'VM-IT-021',
    domain({ devices: { gpus: [{ name: 'a', deviceName: 'b' }] } }),
    { ...small, gpus: [{ name: 'c', deviceName: 'd' }] },
    `${B}.domain.devices.gpus`,
  ],
  [
    'VM-IT-022',
    domain({ devices: { hostDevices: [{ name: 'a', deviceName: 'b' }] } }),
    { ...small, hostDevices: [{ name: 'c', deviceName: 'd' }] },
    `${B}.domain.devices.hostDevices`,
  ],
])('%s: what the instance type sets is not for the template to set', (_id, spec, instancetype, field) => {
  expect(conflictsOf(spec, instancetype)).toEqual([field])
})

test('VM-IT-023: an annotation of the instance type has its value', () => {
  const annotated = { ...small, annotations: { a: '1', b: '2' } }
  expect(conflictsOf({}, annotated, { a: '1', b: '3' })).toEqual(['annotations.b'])
})

test('what the instance type leaves open is for the template to set', () => {
  const spec = {
    nodeSelector: { a: 'b' },
    schedulerName: 's',
    domain: {
      cpu: { model: 'host-model', dedicatedCpuPlacement: true, numa: {}, realtime: {}, maxSockets: 4 },
      memory: { hugepages: { pageSize: '2Mi' }, maxGuest: '2Gi' },
      ioThreadsPolicy: 'auto',
      launchSecurity: { sev: {} },
      devices: { gpus: [{ name: 'a', deviceName: 'b' }], hostDevices: [] },
    },
  }
  expect(conflictsOf(spec)).toEqual([])
})

test('of the conflicts about memory the first is told, and all others with it', () => {
  const spec = domain({
    cpu: { cores: 2 },
    memory: { guest: '1Gi', hugepages: { pageSize: '2Mi' } },
    resources: { requests: { cpu: '1', memory: '1Gi' } },
  })
  const huge = { memory: { guest: '1Gi', hugepages: { pageSize: '1Gi' } } }
  expect(conflictsOf(spec, huge)).toEqual([
    `${B}.domain.resources.requests.cpu`,
    `${B}.domain.cpu.cores`,
    `${B}.domain.memory.guest`,
  ])
})
