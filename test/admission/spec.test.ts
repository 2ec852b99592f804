import { expect, test } from 'vitest'
import { defaultConfig, readConfig } from '../../src/admission/config.ts'
import { applyRules, SPEC_RULES } from '../../src/admission/spec/index.ts'
import type { VmiSpec } from '../../src/kinds/kubevirt.ts'
import { FieldPath } from '../../src/lib/field-path.ts'

const config = defaultConfig('amd64')

/** Causes as `reason field`, the field without the leading `spec.`. */
function judge(spec: object, settings = config): string[] {
  const causes = [
    ...applyRules(SPEC_RULES, { domain: {}, ...spec } as VmiSpec, new FieldPath('spec'), settings),
  ]
  for (const { message } of causes) expect(message).not.toMatch(/undefined|\[object/)
  return causes.map(
    ({ reason, field }) => `${reason.replace('FieldValue', '')} ${field.replace(/^spec\./, '')}`,
  )
}

const domain = (members: object, rest: object = {}) => ({ domain: members, ...rest })
const devices = (members: object, rest: object = {}) => ({ domain: { devices: members }, ...rest })
const disk = (members: object) => ({
  domain: { devices: { disks: [{ name: 'd', ...members }] } },
  volumes: [{ name: 'd', emptyDisk: { capacity: '1Gi' } }],
})
const volume = (members: object) => ({ volumes: [{ name: 'v', ...members }] })
const iface = (members: object, network: object = { pod: {} }) =>
  devices({ interfaces: [{ name: 'n', ...members }] }, { networks: [{ name: 'n', ...network }] })
const DISK = 'domain.devices.disks[0]'
const TWICE = 'domain.devices.disks.domain.devices.disks'
const IFACE = 'domain.devices.interfaces[0]'
const pinned = { dedicatedCpuPlacement: true }

test.each<[string, object, string[]]>([
  ['HOST-001', { hostname: 'Bad.name' }, ['Invalid hostname']],
  ['HOST-002', { subdomain: 'a_b' }, ['Invalid subdomain']],
  [
    'MEM-001',
    domain({ resources: { requests: { memory: '-1Gi' } } }),
    ['Invalid domain.resources.requests.memory'],
  ],
  [
    'MEM-002',
    domain({ resources: { requests: { memory: '512' } } }),
    ['Invalid domain.resources.requests.memory'],
  ],
  [
    'MEM-003',
    domain({ resources: { limits: { memory: '-1' } } }),
    ['Invalid domain.resources.limits.memory'],
  ],
  [
    'MEM-004',
    domain({ resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } }),
    ['Invalid domain.resources.requests.memory'],
  ],
  [
    'MEM-005',
    domain({ memory: { hugepages: { pageSize: 'big' } } }),
    ['Invalid domain.memory.hugepages.pageSize'],
  ],
  [
    'MEM-006',
    domain({ memory: { guest: '1Mi', hugepages: { pageSize: '2Mi' } } }),
    ['Invalid domain.resources.requests.memory'],
  ],
  [
    'MEM-007',
    domain({ memory: { guest: '3Mi', hugepages: { pageSize: '2Mi' } } }),
    ['Invalid domain.resources.requests.memory'],
  ],
  ['MACH-001', domain({ machine: { type: 'i440fx' } }), ['Invalid domain.machine.type']],
  ['ACPI-001', domain({ firmware: { acpi: {} } }), ['Invalid acpi']],
  [
    'ACPI-002',
    domain({ firmware: { acpi: { slicNameRef: 'v' } } }, volume({ emptyDisk: {} })),
    ['Invalid acpi.slicNameRef'],
  ],
  ['ACPI-005', domain({ firmware: { acpi: { msdmNameRef: 'v' } } }), ['Invalid acpi.msdmNameRef']],
  ['CPU-001', domain({ resources: { requests: { cpu: '-1m' } } }), ['Invalid domain.resources.requests.cpu']],
  [
    'CPU-003',
    domain({ resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }),
    ['Invalid domain.resources.requests.cpu'],
  ],
  ['CPU-004', domain({ cpu: { ...pinned, cores: 1 } }), ['Invalid domain.resources.limits.memory']],
  [
    'CPU-005',
    domain({ cpu: pinned, memory: { guest: '1Gi' }, resources: { requests: { cpu: '1500m' } } }),
    ['Invalid domain.resources.requests.cpu'],
  ],
  [
    'CPU-008',
    domain({ cpu: pinned, memory: { guest: '1Gi' } }),
    ['Invalid domain.cpu.dedicatedCpuPlacement'],
  ],
  [
    'CPU-010',
    domain({ cpu: { ...pinned, cores: 2 }, memory: { guest: '1Gi' }, resources: { requests: { cpu: '3' } } }),
    ['Invalid domain.cpu.dedicatedCpuPlacement'],
  ],
  [
    'CPU-012',
    domain({ cpu: { ...pinned, threads: 4 }, memory: { guest: '1Gi' } }),
    ['Invalid domain.cpu.dedicatedCpuPlacement'],
  ],
  ['CPU-016', domain({ cpu: { isolateEmulatorThread: true } }), ['Invalid domain.cpu.isolateEmulatorThread']],
  [
    'CPU-017',
    domain({ cpu: { features: [{ name: 'vmx', policy: 'maybe' }] } }),
    ['NotSupported domain.cpu.features[0].policy'],
  ],
  ['CPU-018', domain({ cpu: { sockets: 4, maxSockets: 2 } }), ['Invalid domain.cpu.sockets']],
  ['START-001', { startStrategy: 'paused' }, ['Invalid startStrategy']],
  ['START-002', { startStrategy: 'Paused', livenessProbe: { exec: {} } }, ['Invalid startStrategy']],
  [
    'RT-001',
    domain({ cpu: { realtime: {} } }),
    ['Required domain.cpu.dedicatedCpuPlacement', 'Required domain.cpu.numa.guestMappingPassthrough'],
  ],
  [
    'NET-001',
    devices(
      { interfaces: ['a', 'b'].map((name) => ({ name, masquerade: {} })) },
      { networks: ['a', 'b'].map((name) => ({ name, pod: {} })) },
    ),
    ['Duplicate interfaces'],
  ],
  ['NET-004', iface({ bridge: {} }, {}), ['Required networks[0]']],
  ['NET-005', iface({ bridge: {} }, { pod: {}, multus: { networkName: 'x' } }), ['Required networks[0]']],
  ['NET-006', iface({ bridge: {} }, { multus: {} }), ['Required networks[0]']],
  [
    'NET-009',
    iface({ masquerade: {}, state: 'absent' }, { pod: {} }),
    [`Invalid ${IFACE}.state`, `Invalid ${IFACE}.state`],
  ],
  ['NET-011', iface({ masquerade: {}, bridge: {} }), [`Invalid ${IFACE}`]],
  ['NET-012', iface({ masquerade: {} }, { multus: { networkName: 'x' } }), [`Invalid ${IFACE}.name`]],
  ['NET-025', { networks: [{ name: 'n', pod: {} }] }, ['Required networks[0].name']],
  ['NET-027', devices({ interfaces: [{ name: 'n', bridge: {} }] }), [`Invalid ${IFACE}.name`]],
  ['NET-029', iface({ bridge: {}, model: 'tulip' }), [`NotSupported ${IFACE}.model`]],
  ['NET-030', iface({ bridge: {}, macAddress: 'no' }), [`Invalid ${IFACE}.macAddress`]],
  ['NET-031', iface({ bridge: {}, pciAddress: '1' }), [`Invalid ${IFACE}.pciAddress`]],
  [
    'NET-033',
    iface({ masquerade: {}, ports: [{ name: 'Not-', port: 0 }] }),
    [`Invalid ${IFACE}.ports[0].name`, `Required ${IFACE}.ports[0].port`],
  ],
  [
    'NET-035',
    iface({ masquerade: {}, ports: [{ port: 65_536, protocol: 'SCTP' }] }),
    [`Invalid ${IFACE}.ports[0].port`, `Invalid ${IFACE}.ports[0].protocol`],
  ],
  ['BOOT-001', devices({ disks: [{ name: 'd', disk: {} }] }), [`Invalid ${DISK}.name`]],
  ['BOOT-003', disk({ lun: {} }), [`Invalid ${DISK}.lun`]],
  [
    'BOOT-006',
    devices(
      {
        disks: [
          { name: 'd', bootOrder: 1 },
          { name: 'e', bootOrder: 1 },
        ],
      },
      { volumes: ['d', 'e'].map((name) => ({ name, emptyDisk: {} })) },
    ),
    ['Invalid domain.devices.disks[1].bootOrder'],
  ],
  ['BOOT-007', iface({ bridge: {}, bootOrder: 0 }), ['Invalid spec[0].bootOrder']],
  [
    'INPUT-001',
    devices({ inputs: [{ name: 'i', type: 'keyboard', bus: 'ps2' }] }),
    ['Invalid domain.devices.inputs[0].bus', 'Invalid domain.devices.inputs[0].type'],
  ],
  ['IOT-001', domain({ ioThreadsPolicy: 'many' }), ['Invalid domain.ioThreadsPolicy']],
  ['PROBE-002', { readinessProbe: {} }, ['Required readinessProbe']],
  ['PROBE-003', { livenessProbe: { httpGet: { port: 80 } } }, ['Invalid livenessProbe.httpGet']],
  [
    'DISK-001',
    devices({ disks: ['d', 'd'].map((name) => ({ name, disk: {} })) }, volume({ name: 'd', emptyDisk: {} })),
    ['Invalid domain.devices.disks[1].name'],
  ],
  ['DISK-002', disk({ disk: {}, cdrom: {} }), [`Invalid ${DISK}`]],
  [
    'DISK-003',
    disk({ disk: { bus: 'sata', pciAddress: '0000:00:01.0' } }),
    [`Invalid ${TWICE}.disk[0].pciAddress`],
  ],
  ['DISK-006', disk({ disk: { bus: 'ide' } }), [`Invalid ${DISK}.disk.bus`]],
  ['DISK-007', disk({ cdrom: { bus: 'virtio' } }), [`Invalid ${DISK}.cdrom.bus`]],
  ['DISK-008', disk({ disk: { bus: 'sata', readonly: true } }), [`Invalid ${DISK}.disk.bus`]],
  ['DISK-009', disk({ disk: { bus: 'nvme' } }), [`Invalid ${DISK}.disk.bus`]],
  ['DISK-010', disk({ disk: { bus: 'scsi' }, dedicatedIOThread: true }), [`NotSupported ${TWICE}[0]`]],
  ['DISK-011', disk({ serial: 'a b' }), [`Invalid ${DISK}.serial`]],
  ['DISK-013', disk({ cache: 'unsafe' }), [`Invalid ${DISK}.cache`]],
  ['DISK-014', disk({ io: 'uring' }), [`NotSupported ${TWICE}[0].io`]],
  [
    'DISK-018',
    disk({ blockSize: { custom: { logical: 4096, physical: 512 } } }),
    [`Invalid ${DISK}.blockSize.custom.logical`],
  ],
  [
    'DISK-023',
    disk({ blockSize: { custom: { logical: 1000, physical: 1024 } } }),
    [`Invalid ${DISK}.blockSize.custom.logical`],
  ],
  [
    'FW-001',
    domain({ firmware: { bootloader: { efi: { secureBoot: false }, bios: {} } } }),
    ['Invalid domain.firmware.bootloader'],
  ],
  [
    'FW-002',
    domain({ firmware: { kernelBoot: { kernelArgs: 'quiet' } } }),
    ['Invalid domain.firmware.kernelBoot.kernelArgs'],
  ],
  [
    'FW-003',
    domain({ firmware: { kernelBoot: { container: {} } } }),
    ['Required domain.firmware.kernelBoot.container.image', 'Required domain.firmware.kernelBoot.container'],
  ],
  [
    'FW-005',
    domain({
      firmware: {
        kernelBoot: { container: { image: 'x', kernelPath: '/boot/../vmlinuz', initrdPath: '/' } },
      },
    }),
    [
      'Invalid domain.firmware.kernelBoot.container.kernelPath',
      'Invalid domain.firmware.kernelBoot.container.initrdPath',
    ],
  ],
  ['FW-007', domain({ firmware: { bootloader: { efi: {} } } }), ['Invalid domain']],
  ['VOL-001', { volumes: ['v', 'v'].map((name) => ({ name, emptyDisk: {} })) }, ['Invalid volumes[1].name']],
  ['VOL-003', volume({}), ['Invalid volumes[0]']],
  [
    'VOL-004',
    volume({ cloudInitNoCloud: { userDataBase64: '!' } }),
    ['Invalid volumes[0].cloudInitNoCloud.userDataBase64'],
  ],
  [
    'VOL-005',
    volume({ cloudInitConfigDrive: { userData: 'a', secretRef: { name: 's' } } }),
    ['Invalid volumes[0].cloudInitConfigDrive'],
  ],
  [
    'VOL-006',
    volume({ cloudInitNoCloud: { userData: 'x'.repeat(2049) } }),
    ['Invalid volumes[0].cloudInitNoCloud'],
  ],
  ['VOL-010', volume({ cloudInitNoCloud: {} }), ['Invalid volumes[0].cloudInitNoCloud']],
  ['VOL-012', volume({ hostDisk: { path: '/x', type: 'Disk' } }), ['Invalid volumes[0]']],
  ['VOL-016', volume({ configMap: {} }), ['Invalid volumes[0].configMap.name']],
  ['VOL-017', volume({ secret: {} }), ['Invalid volumes[0].secret.secretName']],
  [
    'VOL-019',
    { volumes: ['v', 'w'].map((name) => ({ name, serviceAccount: { serviceAccountName: 'x' } })) },
    ['Invalid volumes'],
  ],
  [
    'VOL-022',
    volume({ containerDisk: { image: 'x', path: 'disk.img' } }),
    ['Invalid volumes[0].containerDisk'],
  ],
  ['VOL-023', { utilityVolumes: [] }, ['Invalid utilityVolumes']],
  ['EVICT-001', { evictionStrategy: 'Never' }, ['Invalid evictionStrategy']],
  ['HD-001', devices({ hostDevices: [] }), ['Invalid HostDevices']],
])('VMI-%s refuses', (_id, spec, causes) => {
  expect(judge(spec)).toEqual(causes)
})

test('a guest that uses much of what there is, is admitted', () => {
  const spec = {
    hostname: 'web-1',
    subdomain: 'a.b',
    startStrategy: 'Paused',
    evictionStrategy: 'LiveMigrate',
    readinessProbe: { httpGet: { port: 80 } },
    domain: {
      machine: { type: 'pc-q35-7.2' },
      memory: { guest: '4Mi', hugepages: { pageSize: '2Mi' } },
      cpu: {
        dedicatedCpuPlacement: true,
        cores: 2,
        features: [{ name: 'vmx', policy: 'require' }],
        isolateEmulatorThread: true,
      },
      resources: { requests: { memory: '4Mi', cpu: '2' }, limits: { memory: '4Mi', cpu: '2' } },
      firmware: {
        bootloader: { efi: {} },
        kernelBoot: { container: { image: 'x', kernelPath: '/boot/vmlinuz/' }, kernelArgs: 'quiet' },
      },
      features: { smm: {} },
      ioThreadsPolicy: 'auto',
      devices: {
        inputs: [{ name: 't', type: 'tablet', bus: 'usb' }],
        disks: [
          {
            name: 'root',
            disk: { bus: 'virtio', pciAddress: '0000:00:01.0' },
            bootOrder: 1,
            serial: 'A-1',
            cache: 'none',
            io: 'native',
          },
          { name: 'seed', cdrom: { bus: 'sata' } },
          { name: 'empty', cdrom: { bus: 'sata' } },
          { name: 'lun', lun: { bus: 'scsi' }, blockSize: { custom: { logical: 512, physical: 4096 } } },
        ],
        interfaces: [
          {
            name: 'default',
            masquerade: {},
            macAddress: '02:00:00:00:00:01',
            ports: [{ name: 'ssh', port: 22, protocol: 'TCP' }, { port: 53 }],
          },
          { name: 'lan', bridge: {}, model: 'e1000', bootOrder: 2, state: 'absent' },
        ],
      },
    },
    networks: [
      { name: 'default', pod: {} },
      { name: 'lan', multus: { networkName: 'lan' } },
    ],
    volumes: [
      { name: 'root', containerDisk: { image: 'x', path: '/disk/a.img' } },
      {
        name: 'seed',
        cloudInitNoCloud: { userDataBase64: 'I2Nsb3VkLWNvbmZpZw==', networkData: 'version: 2' },
      },
      { name: 'lun', persistentVolumeClaim: { claimName: 'c' } },
    ],
  }
  expect(judge(spec)).toEqual([])
})

test('what a gate guards is admitted once it is on', () => {
  const open = readConfig(config, { developerConfiguration: { featureGates: ['HostDisk', 'HostDevices'] } })
  expect(judge(volume({ hostDisk: { path: '/x', type: 'DiskOrCreate', capacity: '1Gi' } }), open)).toEqual([])
  expect(judge(devices({ hostDevices: [] }), open)).toEqual([])
  expect(judge(volume({ hostDisk: { path: '', type: 'File', capacity: '1Gi' } }), open)).toEqual([
    'NotFound volumes[0].hostDisk.path',
    'Invalid volumes[0].hostDisk.type',
  ])
})

test('a guest memory above its limit is refused only where it cannot be changed while it runs', () => {
  const spec = domain({ memory: { guest: '2Gi' }, resources: { limits: { memory: '1Gi' } } })
  expect(judge(spec)).toEqual([])
  expect(judge(spec, { ...config, isLiveUpdate: false })).toEqual(['Invalid domain.memory.guest'])
})
