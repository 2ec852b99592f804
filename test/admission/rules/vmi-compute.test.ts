/** Contract: admission-vmi.md, 4.1 to 4.5. */
import { describe } from 'vitest'
import { NEW_VMI, testRules } from '../../helpers/rule-cases.ts'

const DOMAIN = 'spec.domain'
const REQUESTS = `${DOMAIN}.resources.requests`
const LIMITS = `${DOMAIN}.resources.limits`
const CPU = `${DOMAIN}.cpu`
const HUGE = `${DOMAIN}.memory.hugepages`
const ACPI = `${DOMAIN}.firmware.acpi`
const SECRET = { name: 't', secret: { secretName: 's' } }
const DISKS = {
  'spec.volumes[1]': SECRET,
  [`${DOMAIN}.devices.disks[1]`]: { name: 't', disk: { bus: 'virtio' } },
}
const pinned = { dedicatedCpuPlacement: true, cores: 2 }
const numa = { guestMappingPassthrough: {} }
const secondIsEmpty = {
  'spec.volumes[1]': { name: 't', emptyDisk: { capacity: '1Gi' } },
  [`${DOMAIN}.devices.disks[1]`]: { name: 't', disk: { bus: 'virtio' } },
}

describe('names', () => {
  testRules(NEW_VMI, [
    ['VMI-HOST-001', { 'spec.hostname': 'a.b' }, 'Invalid spec.hostname', { 'spec.hostname': 'a-b' }],
    ['VMI-HOST-002', { 'spec.subdomain': 'a_b' }, 'Invalid spec.subdomain', { 'spec.subdomain': 'a.b' }],
  ])
})

describe('memory', () => {
  testRules(NEW_VMI, [
    [
      'VMI-MEM-001',
      { [`${REQUESTS}.memory`]: '-1Gi' },
      `Invalid ${REQUESTS}.memory`,
      { [`${REQUESTS}.memory`]: '1Gi' },
    ],
    [
      'VMI-MEM-002',
      { [`${REQUESTS}.memory`]: '999999' },
      `Invalid ${REQUESTS}.memory`,
      { [`${REQUESTS}.memory`]: '1M' },
    ],
    [
      'VMI-MEM-003',
      { [`${LIMITS}.memory`]: '-1' },
      `Invalid ${LIMITS}.memory`,
      { [`${LIMITS}.memory`]: '2Gi' },
    ],
    [
      'VMI-MEM-004',
      { [`${REQUESTS}.memory`]: '2Gi', [`${LIMITS}.memory`]: '1Gi' },
      `Invalid ${REQUESTS}.memory`,
      { [`${REQUESTS}.memory`]: '1Gi', [`${LIMITS}.memory`]: '1Gi' },
    ],
    [
      'VMI-MEM-005',
      { [HUGE]: { pageSize: 'big' } },
      `Invalid ${HUGE}.pageSize`,
      { [HUGE]: { pageSize: '2Mi' } },
    ],
    [
      'VMI-MEM-006',
      { [HUGE]: { pageSize: '1Gi' }, [`${DOMAIN}.memory.guest`]: '512Mi' },
      `Invalid ${REQUESTS}.memory`,
      { [HUGE]: { pageSize: '1Gi' } },
    ],
    [
      'VMI-MEM-007',
      { [HUGE]: { pageSize: '2Mi' }, [`${DOMAIN}.memory.guest`]: '3Mi' },
      `Invalid ${REQUESTS}.memory`,
      { [HUGE]: { pageSize: '2Mi' }, [`${DOMAIN}.memory.guest`]: '4Mi' },
    ],
    [
      'VMI-MEM-008',
      { [`${LIMITS}.memory`]: '512Mi', '@configuration': { vmRolloutStrategy: 'Stage' } },
      `Invalid ${DOMAIN}.memory.guest`,
      { [`${LIMITS}.memory`]: '512Mi' },
    ],
  ])
})

describe('machine and ACPI tables', () => {
  testRules(NEW_VMI, [
    [
      'VMI-MACH-001',
      { [`${DOMAIN}.machine.type`]: 'i440fx' },
      `Invalid ${DOMAIN}.machine.type`,
      { [`${DOMAIN}.machine.type`]: 'pc-q35-9.2' },
    ],
    ['VMI-ACPI-001', { [ACPI]: {} }, 'Invalid spec.acpi', { ...DISKS, [ACPI]: { slicNameRef: 't' } }],
    [
      'VMI-ACPI-002',
      { ...secondIsEmpty, [ACPI]: { slicNameRef: 't' } },
      'Invalid spec.acpi.slicNameRef',
      { ...DISKS, [ACPI]: { slicNameRef: 't' } },
    ],
    [
      'VMI-ACPI-003',
      { ...DISKS, [ACPI]: { slicNameRef: 'none' } },
      'Invalid spec.acpi.slicNameRef',
      { ...DISKS, [ACPI]: { slicNameRef: 't' } },
    ],
    [
      'VMI-ACPI-004',
      { ...secondIsEmpty, [ACPI]: { msdmNameRef: 't' } },
      'Invalid spec.acpi.msdmNameRef',
      { ...DISKS, [ACPI]: { msdmNameRef: 't' } },
    ],
    [
      'VMI-ACPI-005',
      { ...DISKS, [ACPI]: { msdmNameRef: 'none' } },
      'Invalid spec.acpi.msdmNameRef',
      { ...DISKS, [ACPI]: { msdmNameRef: 't' } },
    ],
  ])
})

describe('CPUs', () => {
  const dedicated = `Invalid ${CPU}.dedicatedCpuPlacement`
  testRules(NEW_VMI, [
    ['VMI-CPU-001', { [`${REQUESTS}.cpu`]: '-1m' }, `Invalid ${REQUESTS}.cpu`, { [`${REQUESTS}.cpu`]: '1m' }],
    ['VMI-CPU-002', { [`${LIMITS}.cpu`]: '-1m' }, `Invalid ${LIMITS}.cpu`, { [`${LIMITS}.cpu`]: '1m' }],
    [
      'VMI-CPU-003',
      { [`${REQUESTS}.cpu`]: '1001m', [`${LIMITS}.cpu`]: '1' },
      `Invalid ${REQUESTS}.cpu`,
      { [`${REQUESTS}.cpu`]: '1', [`${LIMITS}.cpu`]: '1' },
    ],
    [
      'VMI-CPU-004',
      { [CPU]: pinned, [`${DOMAIN}.memory`]: undefined },
      `Invalid ${LIMITS}.memory`,
      { [CPU]: pinned, [`${DOMAIN}.memory`]: undefined, [`${REQUESTS}.memory`]: '1Gi' },
    ],
    [
      'VMI-CPU-005',
      { [CPU]: pinned, [`${REQUESTS}.cpu`]: '1500m' },
      `Invalid ${REQUESTS}.cpu`,
      { [CPU]: pinned, [`${REQUESTS}.cpu`]: '2000m' },
    ],
    [
      'VMI-CPU-006',
      { [CPU]: pinned, [`${LIMITS}.cpu`]: '1500m' },
      `Invalid ${LIMITS}.cpu`,
      { [CPU]: pinned, [`${LIMITS}.cpu`]: '2' },
    ],
    [
      'VMI-CPU-007',
      { [CPU]: pinned, [`${REQUESTS}.memory`]: '1Gi', [`${LIMITS}.memory`]: '2Gi' },
      `Invalid ${REQUESTS}.memory`,
      { [CPU]: pinned, [`${REQUESTS}.memory`]: '1Gi', [`${LIMITS}.memory`]: '1024Mi' },
    ],
    ['VMI-CPU-008', { [CPU]: { dedicatedCpuPlacement: true } }, dedicated, { [CPU]: pinned }],
    [
      'VMI-CPU-009',
      { [CPU]: pinned, [`${REQUESTS}.cpu`]: '1', [`${LIMITS}.cpu`]: '2' },
      dedicated,
      { [CPU]: pinned, [`${REQUESTS}.cpu`]: '2', [`${LIMITS}.cpu`]: '2' },
    ],
    [
      'VMI-CPU-010',
      { [CPU]: pinned, [`${REQUESTS}.cpu`]: '3' },
      dedicated,
      { [CPU]: { ...pinned, sockets: 2 }, [`${REQUESTS}.cpu`]: '4' },
    ],
    [
      'VMI-CPU-011',
      { [CPU]: { ...pinned, threads: 2 }, 'spec.architecture': 'arm64' },
      'Invalid spec.architecture',
      { [CPU]: { ...pinned, threads: 2 } },
    ],
    ['VMI-CPU-012', { [CPU]: { ...pinned, threads: 3 } }, dedicated, { [CPU]: { ...pinned, threads: 2 } }],
    [
      'VMI-CPU-014',
      { [CPU]: { numa }, [HUGE]: { pageSize: '2Mi' } },
      `Invalid ${CPU}.numa.guestMappingPassthrough`,
      { [CPU]: { ...pinned, numa }, [HUGE]: { pageSize: '2Mi' } },
    ],
    [
      'VMI-CPU-015',
      { [CPU]: { ...pinned, numa } },
      `Invalid ${CPU}.numa.guestMappingPassthrough`,
      { [CPU]: { ...pinned, numa }, [HUGE]: { pageSize: '2Mi' } },
    ],
    [
      'VMI-CPU-013: the gate is always on',
      { [CPU]: { ...pinned, numa } },
      `Invalid ${CPU}.numa.guestMappingPassthrough`,
      { [CPU]: { ...pinned, numa }, [HUGE]: { pageSize: '2Mi' }, '@off': ['NUMA'] },
    ],
    [
      'VMI-CPU-016',
      { [CPU]: { cores: 2, isolateEmulatorThread: true } },
      `Invalid ${CPU}.isolateEmulatorThread`,
      { [CPU]: { ...pinned, isolateEmulatorThread: true } },
    ],
    [
      'VMI-CPU-017',
      { [CPU]: { features: [{ name: 'vmx' }, { name: 'x', policy: 'maybe' }] } },
      `NotSupported ${CPU}.features[1].policy`,
      { [CPU]: { features: [{ name: 'vmx', policy: 'forbid' }] } },
    ],
    [
      'VMI-CPU-018',
      { [CPU]: { sockets: 3, maxSockets: 2 } },
      `Invalid ${CPU}.sockets`,
      { [CPU]: { sockets: 3, maxSockets: 3 } },
    ],
  ])
})

describe('the start, and real time', () => {
  const exec = { exec: { command: ['true'] } }
  testRules(NEW_VMI, [
    [
      'VMI-START-001',
      { 'spec.startStrategy': 'paused' },
      'Invalid spec.startStrategy',
      { 'spec.startStrategy': 'Paused' },
    ],
    [
      'VMI-START-002',
      { 'spec.startStrategy': 'Paused', 'spec.livenessProbe': exec },
      'Invalid spec.startStrategy',
      { 'spec.startStrategy': 'Paused', 'spec.readinessProbe': exec },
    ],
    [
      'VMI-RT-001',
      { [CPU]: { cores: 2, realtime: {}, numa }, [HUGE]: { pageSize: '2Mi' } },
      `Required ${CPU}.dedicatedCpuPlacement`,
      { [CPU]: { ...pinned, realtime: {}, numa }, [HUGE]: { pageSize: '2Mi' } },
    ],
    [
      'VMI-RT-002',
      { [CPU]: { ...pinned, realtime: {} } },
      `Required ${CPU}.numa.guestMappingPassthrough`,
      { [CPU]: { ...pinned, realtime: {}, numa }, [HUGE]: { pageSize: '2Mi' } },
    ],
  ])
})
