/** Contract: admission-vmi.md, 4.11 to 4.15. */
import { describe } from 'vitest'
import { NEW_VMI, testRules, type Edits, type RuleCase } from '../../helpers/rule-cases.ts'

const DOMAIN = 'spec.domain'
const DEVICES = `${DOMAIN}.devices`
const K = `${DEVICES}.disks`
const I = `${DEVICES}.interfaces`

describe('claims on devices', () => {
  const RC = 'spec.resourceClaims'
  const G = `${DEVICES}.gpus`
  const H = `${DEVICES}.hostDevices`
  const N = 'spec.networks'
  const claim = (members: object = {}) => ({ name: 'c', resourceClaimName: 'x', ...members })
  const claims = { [RC]: [claim()] }
  const device = (name: string, members: object = { claimName: 'c', requestName: name }) => ({
    name,
    ...members,
  })
  const plain = (name: string) => ({ name, deviceName: 'vendor.com/gpu' })
  const gpus = (...list: object[]): Edits => ({ ...claims, [G]: list })
  const hosts = (...list: object[]): Edits => ({ ...claims, '@on': ['HostDevices'], [H]: list })
  testRules(NEW_VMI, [
    ['VMI-DRA-001', { [RC]: [claim({ name: '' })] }, `Required ${RC}[0].name`, claims],
    ['VMI-DRA-002', { [RC]: [claim(), claim()] }, `Duplicate ${RC}[1].name`, claims],
    ['VMI-DRA-003', { [RC]: [claim({ name: 'A' })] }, `Invalid ${RC}[0].name`, claims],
    ['VMI-DRA-004', { [RC]: [claim({ resourceClaimTemplateName: 'y' })] }, `Invalid ${RC}[0]`, claims],
    ['VMI-DRA-005', { [RC]: [{ name: 'c' }] }, `Invalid ${RC}[0]`, claims],
    [
      'VMI-DRA-006',
      { [RC]: [claim({ resourceClaimName: 'X_' })] },
      `Invalid ${RC}[0].resourceClaimName`,
      { [RC]: [claim({ resourceClaimName: 'x.y' })] },
    ],
    [
      'VMI-DRA-007',
      { [RC]: [{ name: 'c', resourceClaimTemplateName: 'X_' }] },
      `Invalid ${RC}[0].resourceClaimTemplateName`,
      { [RC]: [{ name: 'c', resourceClaimTemplateName: 'x' }] },
    ],
    ['VMI-DRA-010', gpus(device('a'), plain('b')), `Invalid ${G}`, gpus(device('a'))],
    ['VMI-DRA-011', gpus({ name: 'a' }), `Required ${G}`, gpus(plain('a'))],
    [
      'VMI-DRA-012',
      gpus({ ...plain('a'), claimName: 'c', requestName: 'r' }),
      `Invalid ${G}`,
      gpus(plain('a'), plain('b')),
    ],
    ['VMI-DRA-013', { ...gpus(device('a')), '@off': ['GPUsWithDRA'] }, `Invalid ${G}`, gpus(device('a'))],
    ['VMI-DRA-014', gpus(device('a', { requestName: 'r' })), `Required ${G}[0].claimName`, gpus(device('a'))],
    ['VMI-DRA-015', gpus(device('a', { claimName: 'c' })), `Required ${G}[0].requestName`, gpus(device('a'))],
    [
      'VMI-DRA-016',
      gpus(device('a'), { ...device('b'), requestName: 'a' }),
      `Duplicate ${G}[1]`,
      gpus(device('a'), device('b')),
    ],
    ['VMI-DRA-021', hosts({ name: 'a' }), `Required ${H}`, hosts(plain('a'))],
    ['VMI-DRA-022', hosts({ ...plain('a'), claimName: 'c' }), `Invalid ${H}`, hosts(plain('a'), device('b'))],
    [
      'VMI-DRA-023',
      { ...hosts(device('a')), '@off': ['HostDevicesWithDRA'] },
      `Invalid ${H}`,
      hosts(device('a')),
    ],
    [
      'VMI-DRA-024',
      hosts(device('a', { requestName: 'r' })),
      `Required ${H}[0].claimName`,
      hosts(device('a')),
    ],
    [
      'VMI-DRA-025',
      hosts(device('a', { claimName: 'c' })),
      `Required ${H}[0].requestName`,
      hosts(device('a')),
    ],
    [
      'VMI-DRA-026',
      hosts(device('a'), { ...device('b'), requestName: 'a' }),
      `Duplicate ${H}[1]`,
      hosts(device('a'), device('b')),
    ],
    [
      'VMI-DRA-030',
      { ...hosts(device('a')), [G]: [device('a')] },
      `Duplicate ${H}[0]`,
      { ...hosts(device('a')), [G]: [device('b')] },
    ],
    [
      'VMI-DRA-031',
      {
        ...gpus(device('a')),
        '@on': ['NetworkDevicesWithDRA'],
        [`${I}[0]`]: { name: 'n', sriov: {} },
        [`${N}[0]`]: { name: 'n', resourceClaim: { claimName: 'c', requestName: 'a' } },
      },
      `Duplicate ${N}[0]`,
      {
        ...gpus(device('a')),
        '@on': ['NetworkDevicesWithDRA'],
        [`${I}[0]`]: { name: 'n', sriov: {} },
        [`${N}[0]`]: { name: 'n', resourceClaim: { claimName: 'c', requestName: 'b' } },
      },
    ],
    [
      'VMI-DRA-032',
      gpus(device('a', { claimName: 'd', requestName: 'r' })),
      `Invalid ${RC}`,
      gpus(device('a')),
    ],
  ])
})

/** A guest with one disk, and a volume for it that can be anything. */
function disk(members: object, volume: object = { emptyDisk: { capacity: '1Gi' } }): Edits {
  return { [K]: [{ name: 'd', ...members }], 'spec.volumes': [{ name: 'd', ...volume }] }
}
const claimed = { persistentVolumeClaim: { claimName: 'c' } }

describe('the order of booting, and volumes of disks', () => {
  const metrics = { downwardMetrics: {} }
  const gate = { '@on': ['DownwardMetrics'] }
  testRules(NEW_VMI, [
    ['VMI-BOOT-001', { [`${K}[1]`]: { name: 'e', disk: {} } }, `Invalid ${K}[1].name`],
    [
      'VMI-BOOT-002',
      { [`${K}[1]`]: { name: 'e', cdrom: { bus: 'sata' } }, '@off': ['DeclarativeHotplugVolumes'] },
      `Invalid ${K}[1].name`,
      { [`${K}[1]`]: { name: 'e', cdrom: { bus: 'sata' } } },
    ],
    ['VMI-BOOT-003', disk({ lun: {} }), `Invalid ${K}[0].lun`, disk({ lun: {} }, claimed)],
    [
      'VMI-BOOT-004',
      { ...gate, ...disk({ cdrom: {} }, metrics) },
      `Required ${K}[0].disk`,
      { ...gate, ...disk({ disk: {} }, metrics) },
    ],
    [
      'VMI-BOOT-005',
      { ...gate, ...disk({ disk: { bus: 'scsi' } }, metrics) },
      `Invalid ${K}[0].disk.bus`,
      { ...gate, ...disk({ disk: { bus: 'virtio' } }, metrics) },
    ],
    [
      'VMI-BOOT-006',
      {
        [K]: ['d', 'e'].map((name) => ({ name, disk: {}, bootOrder: 1 })),
        'spec.volumes[1]': { name: 'e', ...claimed },
      },
      `Invalid ${K}[1].bootOrder`,
      {
        [K]: ['d', 'e'].map((name, at) => ({ name, disk: {}, bootOrder: at + 1 })),
        'spec.volumes[1]': { name: 'e', ...claimed },
      },
    ],
    ['VMI-BOOT-007', { [`${I}[0].bootOrder`]: 0 }, 'Invalid spec[0].bootOrder', { [`${I}[0].bootOrder`]: 1 }],
    [
      'VMI-BOOT-008',
      { [`${K}[0].bootOrder`]: 1, [`${I}[0].bootOrder`]: 1 },
      `Invalid ${I}[0].bootOrder`,
      { [`${K}[0].bootOrder`]: 1, [`${I}[0].bootOrder`]: 2 },
    ],
  ])
})

describe('inputs, I/O threads, probes', () => {
  const inputs = (input: object) => ({ [`${DEVICES}.inputs`]: [{ name: 't', ...input }] })
  const tcp = { tcpSocket: { port: 80 } }
  const http = { httpGet: { port: 80 } }
  const noPod = {
    'spec.networks': [{ name: 'n', multus: { networkName: 'blue' } }],
    [I]: [{ name: 'n', bridge: {} }],
  }
  testRules(NEW_VMI, [
    [
      'VMI-INPUT-001',
      inputs({ type: 'tablet', bus: 'ps2' }),
      `Invalid ${DEVICES}.inputs[0].bus`,
      inputs({ type: 'tablet', bus: 'usb' }),
    ],
    [
      'VMI-INPUT-002',
      inputs({ type: 'keyboard' }),
      `Invalid ${DEVICES}.inputs[0].type`,
      inputs({ type: 'tablet' }),
    ],
    [
      'VMI-IOT-001',
      { [`${DOMAIN}.ioThreadsPolicy`]: 'many' },
      `Invalid ${DOMAIN}.ioThreadsPolicy`,
      { [`${DOMAIN}.ioThreadsPolicy`]: 'auto' },
    ],
    [
      'VMI-IOT-002',
      { [`${DOMAIN}.ioThreadsPolicy`]: 'supplementalPool' },
      `Invalid ${DOMAIN}.ioThreads.count`,
      {
        [`${DOMAIN}.ioThreadsPolicy`]: 'supplementalPool',
        [`${DOMAIN}.ioThreads`]: { supplementalPoolThreadCount: 1 },
      },
    ],
    [
      'VMI-PROBE-001',
      { 'spec.readinessProbe': { ...tcp, exec: {} } },
      'Invalid spec.readinessProbe',
      { 'spec.readinessProbe': tcp },
    ],
    [
      'VMI-PROBE-002',
      { 'spec.livenessProbe': {} },
      'Required spec.livenessProbe',
      { 'spec.livenessProbe': http },
    ],
    [
      'VMI-PROBE-003',
      { ...noPod, 'spec.readinessProbe': http },
      'Invalid spec.readinessProbe.httpGet',
      { 'spec.readinessProbe': http },
    ],
    [
      'VMI-PROBE-004',
      { ...noPod, 'spec.livenessProbe': tcp },
      'Invalid spec.livenessProbe.tcpSocket',
      { ...noPod, 'spec.livenessProbe': { guestAgentPing: {} } },
    ],
  ])
})

describe('disks', () => {
  const TWICE = `${K}.domain.devices.disks`
  const second = (name: string) => ({
    [`${K}[1]`]: { name, disk: {} },
    'spec.volumes[1]': { name, ...claimed },
  })
  const sized = (custom: object, members: object = { disk: {} }) =>
    disk({ ...members, blockSize: { custom } })
  const block = `Invalid ${K}[0].blockSize`
  const cases: RuleCase[] = [
    ['VMI-DISK-001', second('d'), `Invalid ${K}[1].name`, second('e')],
    ['VMI-DISK-002', disk({ disk: {}, cdrom: {} }), `Invalid ${K}[0]`, disk({ cdrom: {} })],
    [
      'VMI-DISK-003',
      disk({ disk: { bus: 'scsi', pciAddress: '0000:81:01.0' } }),
      `Invalid ${TWICE}.disk[0].pciAddress`,
      disk({ disk: { bus: 'virtio', pciAddress: '0000:81:01.0' } }),
    ],
    [
      'VMI-DISK-004',
      disk({ disk: { bus: 'virtio', pciAddress: '81:01.0' } }),
      `Invalid ${TWICE}.disk[0].pciAddress`,
      disk({ disk: { bus: 'virtio', pciAddress: '0000:81:01.7' } }),
    ],
    [
      'VMI-DISK-005',
      disk({ disk: {}, bootOrder: 0 }),
      `Invalid ${K}[0].bootOrder`,
      disk({ disk: {}, bootOrder: 1 }),
    ],
    [
      'VMI-DISK-006',
      disk({ disk: { bus: 'ide' } }),
      `Invalid ${K}[0].disk.bus`,
      disk({ disk: { bus: 'sata' } }),
    ],
    [
      'VMI-DISK-007',
      disk({ cdrom: { bus: 'virtio' } }),
      `Invalid ${K}[0].cdrom.bus`,
      disk({ cdrom: { bus: 'scsi' } }),
    ],
    [
      'VMI-DISK-008',
      disk({ disk: { bus: 'sata', readonly: true } }),
      `Invalid ${K}[0].disk.bus`,
      disk({ disk: { bus: 'virtio', readonly: true } }),
    ],
    [
      'VMI-DISK-009',
      disk({ disk: { bus: 'nvme' } }),
      `Invalid ${K}[0].disk.bus`,
      disk({ disk: { bus: 'usb' } }),
    ],
    [
      'VMI-DISK-010',
      disk({ disk: { bus: 'sata' }, dedicatedIOThread: true }),
      `NotSupported ${TWICE}[0]`,
      disk({ disk: { bus: 'virtio' }, dedicatedIOThread: true }),
    ],
    [
      'VMI-DISK-011',
      disk({ disk: {}, serial: 'a b' }),
      `Invalid ${K}[0].serial`,
      disk({ disk: {}, serial: 'a.b+c_d-e' }),
    ],
    [
      'VMI-DISK-012',
      disk({ disk: {}, serial: 'x'.repeat(257) }),
      `Invalid ${K}[0].serial`,
      disk({ disk: {}, serial: 'x'.repeat(256) }),
    ],
    [
      'VMI-DISK-013',
      disk({ disk: {}, cache: 'unsafe' }),
      `Invalid ${K}[0].cache`,
      disk({ disk: {}, cache: 'writeback' }),
    ],
    [
      'VMI-DISK-014',
      disk({ disk: {}, io: 'io_uring' }),
      `NotSupported ${TWICE}[0].io`,
      disk({ disk: {}, io: 'native' }),
    ],
    [
      'VMI-DISK-015',
      disk({ disk: {}, errorPolicy: 'retry' }),
      `Invalid ${K}[0].errorPolicy`,
      disk({ disk: {}, errorPolicy: 'enospace' }),
    ],
    [
      'VMI-DISK-016',
      { [K]: [{ name: 'D', disk: {} }], 'spec.volumes': [{ name: 'D', ...claimed }] },
      `Invalid ${TWICE}[0].name`,
    ],
    [
      'VMI-DISK-017',
      disk({ disk: {}, blockSize: { custom: { logical: 512, physical: 512 }, matchVolume: {} } }),
      block,
      disk({
        disk: {},
        blockSize: { custom: { logical: 512, physical: 512 }, matchVolume: { enabled: false } },
      }),
    ],
    [
      'VMI-DISK-018',
      sized({ logical: 4096, physical: 512 }),
      `${block}.custom.logical`,
      sized({ logical: 512, physical: 4096 }),
    ],
    [
      'VMI-DISK-019',
      sized({ logical: 4096, physical: 4096 }, { disk: { bus: 'sata' } }),
      `${block}.custom.logical`,
      sized({ logical: 512, physical: 4096 }, { disk: { bus: 'sata' } }),
    ],
    [
      'VMI-DISK-020',
      sized({ logical: 4096, physical: 4096, discardGranularity: 512 }),
      `${block}.custom.discardGranularity`,
      sized({ logical: 4096, physical: 4096, discardGranularity: 8192 }),
    ],
    [
      'VMI-DISK-021',
      sized({ logical: 256, physical: 512 }),
      `${block}.custom.logical`,
      sized({ logical: 512, physical: 512 }),
    ],
    [
      'VMI-DISK-022',
      sized({ logical: 512, physical: 4_194_304 }),
      `${block}.custom.physical`,
      sized({ logical: 512, physical: 2_097_152 }),
    ],
    [
      'VMI-DISK-023',
      sized({ logical: 512, physical: 1536 }),
      `${block}.custom.physical`,
      sized({ logical: 512, physical: 2048 }),
    ],
  ]
  testRules(NEW_VMI, cases)
})

describe('firmware', () => {
  const FW = `${DOMAIN}.firmware`
  const BOOT = `${FW}.kernelBoot`
  const container = { image: 'k', kernelPath: '/boot/vmlinuz' }
  const secure = { [`${FW}.bootloader`]: { efi: {} } }
  testRules(NEW_VMI, [
    [
      'VMI-FW-001',
      { [`${FW}.bootloader`]: { efi: { secureBoot: false }, bios: {} } },
      `Invalid ${FW}.bootloader`,
      { [`${FW}.bootloader`]: { efi: { secureBoot: false } } },
    ],
    [
      'VMI-FW-002',
      { [BOOT]: { kernelArgs: 'quiet' } },
      `Invalid ${BOOT}.kernelArgs`,
      { [BOOT]: { kernelArgs: 'quiet', container } },
    ],
    [
      'VMI-FW-003',
      { [BOOT]: { container: { ...container, image: '' } } },
      `Required ${BOOT}.container.image`,
      { [BOOT]: { container } },
    ],
    [
      'VMI-FW-004',
      { [BOOT]: { container: { image: 'k' } } },
      `Required ${BOOT}.container`,
      { [BOOT]: { container } },
    ],
    [
      'VMI-FW-005',
      { [BOOT]: { container: { image: 'k', kernelPath: 'boot/../vmlinuz' } } },
      `Invalid ${BOOT}.container.kernelPath`,
      { [BOOT]: { container } },
    ],
    [
      'VMI-FW-006',
      { [BOOT]: { container: { image: 'k', initrdPath: '/' } } },
      `Invalid ${BOOT}.container.initrdPath`,
      { [BOOT]: { container: { image: 'k', initrdPath: '/boot/initrd' } } },
    ],
    ['VMI-FW-007', secure, `Invalid ${DOMAIN}`, { ...secure, [`${DOMAIN}.features.smm`]: {} }],
  ])
})
