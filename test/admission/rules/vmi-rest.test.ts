/** Contract: admission-vmi.md, 4.19 and 5 to 10. */
import { describe } from 'vitest'
import { kubeVirtUser } from '../../../src/admission/accounts.ts'
import { NEW_VMI, testRules, type Edits } from '../../helpers/rule-cases.ts'

const DOMAIN = 'spec.domain'
const DEVICES = `${DOMAIN}.devices`
const CONTROLLER = { username: kubeVirtUser('controller').name }

describe('eviction and devices of the host', () => {
  const gpu = (name: string, display: object | undefined) => ({
    name,
    deviceName: 'vendor.com/gpu',
    ...(display && { virtualGPUOptions: { display } }),
  })
  testRules(NEW_VMI, [
    [
      'VMI-EVICT-001',
      { 'spec.evictionStrategy': 'Never' },
      'Invalid spec.evictionStrategy',
      { 'spec.evictionStrategy': 'LiveMigrateIfPossible' },
    ],
    [
      'VMI-GPU-001',
      { [`${DEVICES}.gpus`]: [gpu('a', {}), gpu('b', {})] },
      'Invalid spec.GPUs',
      { [`${DEVICES}.gpus`]: [gpu('a', {}), gpu('b', { enabled: false })] },
    ],
    [
      'VMI-HD-001',
      { [`${DEVICES}.hostDevices`]: [] },
      'Invalid spec.HostDevices',
      { [`${DEVICES}.hostDevices`]: [], '@on': ['HostDevices'] },
    ],
  ])
})

const graceGates = ['GraceIOVirtualization', 'PCINUMAAwareTopology', 'IOMMUFD']
const permitted = (pciVendorSelector: string) => ({
  '@configuration': {
    permittedHostDevices: { pciHostDevices: [{ pciVendorSelector, resourceName: 'nvidia.com/grace' }] },
  },
})
const GPU = { [`${DEVICES}.gpus`]: [{ name: 'g', deviceName: 'nvidia.com/grace' }] }
const grace: Edits = {
  ...GPU,
  ...permitted('10de:2342'),
  '@on': graceGates,
  'spec.architecture': 'arm64',
  [`${DOMAIN}.machine.type`]: 'virt',
  [`${DOMAIN}.cpu`]: { dedicatedCpuPlacement: true, cores: 1 },
}
const ORDINARY = { ...GPU, ...permitted('10de:1eb8') }

describe('Grace devices', () => {
  const field = `${DEVICES}.gpus[0].deviceName`
  const PLACE = 'metadata.annotations.kubevirt~io/placePCIDevicesOnRootComplex'
  const HOLE = 'metadata.annotations.kubevirt~io/disablePCIHole64'
  testRules(NEW_VMI, [
    ['VMI-GRACE-001', { ...grace, ...permitted('10de:*') }, `Invalid ${field}`, grace],
    ['VMI-GRACE-002', { ...grace, '@on': [] }, `Invalid ${field}`, ORDINARY],
    ['VMI-GRACE-003', { ...grace, 'spec.architecture': 'amd64' }, 'Invalid spec.architecture', grace],
    [
      'VMI-GRACE-004',
      { ...grace, 'spec.architecture': 'amd64', [`${DOMAIN}.machine.type`]: 'q35' },
      `Invalid ${DOMAIN}.machine.type`,
      grace,
    ],
    [
      'VMI-GRACE-005',
      { ...grace, [`${DOMAIN}.cpu`]: { cores: 1 } },
      `Required ${DOMAIN}.cpu.dedicatedCpuPlacement`,
      grace,
    ],
    ['VMI-GRACE-006', { ...grace, '@on': ['GraceIOVirtualization', 'IOMMUFD'] }, `Invalid ${DEVICES}`, grace],
    ['VMI-GRACE-007', { ...grace, '@on': graceGates.slice(0, 2) }, `Invalid ${DEVICES}`, grace],
    [
      'VMI-GRACEA-001',
      { ...grace, [PLACE]: 'true' },
      'Invalid metadata.annotations[kubevirt.io/placePCIDevicesOnRootComplex]',
      { ...ORDINARY, [PLACE]: 'true' },
    ],
    [
      'VMI-GRACEA-002',
      { ...grace, [HOLE]: 'true' },
      'Invalid metadata.annotations[kubevirt.io/disablePCIHole64]',
      { ...grace, [HOLE]: 'false' },
    ],
  ])
})

describe('sound and launch security', () => {
  const LS = 'spec.domain.launchSecurity'
  const complaint = 'Invalid spec.launchSecurity'
  const efi = (members: object = { secureBoot: false }) => ({
    [`${DOMAIN}.firmware.bootloader.efi`]: members,
  })
  const sev = { [LS]: { sev: {} }, ...efi() }
  const tdx = { [LS]: { tdx: {} }, ...efi(), '@on': ['WorkloadEncryptionTDX'] }
  testRules(NEW_VMI, [
    [
      'VMI-SOUND-001',
      { [`${DEVICES}.sound`]: { name: 's', model: 'sb16' } },
      'Invalid spec.Sound',
      { [`${DEVICES}.sound`]: { name: 's', model: 'ac97' } },
    ],
    [
      'VMI-SOUND-002',
      { [`${DEVICES}.sound`]: { model: 'ich9' } },
      'Invalid spec.Sound',
      { [`${DEVICES}.sound`]: { name: 's' } },
    ],
    [
      'VMI-LS-001',
      { ...sev, 'spec.architecture': 'arm64' },
      'Invalid spec.architecture',
      { ...sev, 'spec.architecture': 's390x' },
    ],
    ['VMI-LS-002', { ...sev, [LS]: {} }, 'Forbidden spec.launchSecurity', sev],
    ['VMI-LS-003', { ...tdx, '@on': [] }, complaint, tdx],
    [
      'VMI-LS-004',
      { ...tdx, [`${DOMAIN}.features.smm`]: {} },
      complaint,
      { ...tdx, [`${DOMAIN}.features.smm`]: { enabled: false } },
    ],
    ['VMI-LS-005', { [LS]: { sev: {} } }, complaint, sev],
    ['VMI-LS-006', { ...sev, ...efi({ secureBoot: true }), [`${DOMAIN}.features.smm`]: {} }, complaint, sev],
    [
      'VMI-LS-007',
      { ...sev, [LS]: { snp: {} }, ...efi({ secureBoot: false, persistent: true }) },
      complaint,
      { ...sev, [LS]: { snp: {} } },
    ],
    [
      'VMI-LS-008',
      { ...sev, [LS]: { sev: { attestation: {} } } },
      complaint,
      { ...sev, [LS]: { sev: { attestation: {} } }, 'spec.startStrategy': 'Paused' },
    ],
    [
      'VMI-LS-009',
      { ...sev, [`${DEVICES}.interfaces[0].bootOrder`]: 1 },
      complaint,
      { ...sev, [`${DEVICES}.disks[0].bootOrder`]: 1 },
    ],
  ])
})

describe('what needs a gate, and the rest', () => {
  const shared = (source: object) => ({
    'spec.volumes[1]': { name: 'f', ...source },
    [`${DEVICES}.filesystems`]: [{ name: 'f', virtiofs: {} }],
  })
  const claim = { persistentVolumeClaim: { claimName: 'c' } }
  const lun = {
    'spec.volumes[0]': { name: 'd', ...claim },
    [`${DEVICES}.disks[0]`]: { name: 'd', lun: { bus: 'scsi', reservation: true } },
  }
  const gated = (id: string, path: string, value: unknown, gate: string) =>
    [id, { [path]: value }, `Invalid ${path}`, { [path]: value, '@on': [gate] }] as const
  testRules(NEW_VMI, [
    gated('VMI-VSOCK-001', `${DEVICES}.autoattachVSOCK`, true, 'VSOCK'),
    [
      'VMI-PR-001',
      lun,
      `Invalid ${DEVICES}.disks.luns.reservation`,
      { ...lun, '@configuration': { persistentReservationConfiguration: { enabled: true } } },
    ],
    gated('VMI-DM-001', `${DEVICES}.downwardMetrics`, {}, 'DownwardMetrics'),
    [
      'VMI-FS-001',
      shared(claim),
      `Invalid ${DEVICES}.filesystems`,
      { ...shared(claim), '@on': ['EnableVirtioFsStorageVolumes'] },
    ],
    [
      'VMI-VIDEO-001',
      { [`${DEVICES}.video`]: { type: 'vga' }, [`${DEVICES}.autoattachGraphicsDevice`]: false },
      'Invalid spec.video',
      { [`${DEVICES}.video`]: { type: 'vga' } },
    ],
    [
      'VMI-PANIC-001',
      { [`${DEVICES}.panicDevices`]: [{}], 'spec.architecture': 's390x' },
      `Invalid ${DEVICES}.panicDevices`,
      { [`${DEVICES}.panicDevices`]: [{}] },
    ],
    [
      'VMI-PANIC-002',
      { [`${DEVICES}.panicDevices`]: [{ model: 'red' }] },
      `Invalid ${DEVICES}.panicDevices[0].model`,
      { [`${DEVICES}.panicDevices`]: [{ model: 'isa' }] },
    ],
    [
      'VMI-REBOOT-001',
      { [`${DOMAIN}.rebootPolicy`]: 'Terminate', '@off': ['RebootPolicy'] },
      `Invalid ${DOMAIN}.rebootPolicy`,
      { [`${DOMAIN}.rebootPolicy`]: 'Terminate' },
    ],
    gated('VMI-OVH-001', `${DOMAIN}.memory.reservedOverhead`, {}, 'ReservedOverheadMemlock'),
    [
      'VMI-SA-001',
      { 'spec.serviceAccountName': 'A_' },
      'Invalid spec.serviceAccountName',
      { 'spec.serviceAccountName': 'a.b' },
    ],
    [
      'VMI-SA-002',
      {
        'spec.serviceAccountName': 'a',
        'spec.volumes[0]': { name: 'd', serviceAccount: { serviceAccountName: 'b' } },
      },
      'Invalid spec.serviceAccountName',
      {
        'spec.serviceAccountName': 'a',
        'spec.volumes[0]': { name: 'd', serviceAccount: { serviceAccountName: 'a' } },
      },
    ],
  ])
})

describe('what is asked of VMIs alone', () => {
  const at = 'spec.domain.volumes[1]'
  const path = (containerPath: string) => ({
    'spec.volumes[1]': { name: 'f', containerPath: { path: containerPath } },
  })
  const filesystem = { [`${DEVICES}.filesystems`]: [{ name: 'f', virtiofs: {} }] }
  const disk = { [`${DEVICES}.disks[1]`]: { name: 'f', disk: {} } }
  const shared = { ...path('/data'), ...filesystem }
  testRules(NEW_VMI, [
    [
      'VMI-MAP-001',
      { 'spec.volumes[1]': { name: 'f', emptyDisk: { capacity: '1Gi' } } },
      `Invalid ${at}.name`,
    ],
    ['VMI-MAP-002', { ...shared, ...disk }, `Invalid ${at}`, shared],
    ['VMI-MAP-003', { ...path('/data'), ...disk }, `Invalid ${at}`, shared],
    [
      'VMI-MAP-004',
      { ...filesystem, ...path('/var/run/libvirt/x') },
      `Invalid ${at}.containerPath.path`,
      shared,
    ],
    [
      'VMI-MAND-001',
      { [`${DOMAIN}.memory`]: undefined },
      'Required',
      { [`${DOMAIN}.memory`]: undefined, [`${DOMAIN}.resources.requests.memory`]: '1Gi' },
    ],
    [
      'VMI-META-001',
      { 'metadata.labels': { 'kubevirt.io/nodeName': 'n1' } },
      'NotSupported metadata.labels',
      { 'metadata.labels': { 'kubevirt.io/nodeName': 'n1' }, '@user': CONTROLLER },
    ],
    [
      'VMI-META-002',
      { 'metadata.annotations': { 'kubevirt.io/ignitiondata': '{}' } },
      'Invalid metadata.annotations',
      {
        'metadata.annotations': { 'kubevirt.io/ignitiondata': '{}' },
        '@on': ['ExperimentalIgnitionSupport'],
      },
    ],
    [
      'VMI-META-003',
      { 'metadata.annotations': { 'hooks.kubevirt.io/hookSidecars': '[]' } },
      'Invalid metadata.annotations',
      { 'metadata.annotations': { 'hooks.kubevirt.io/hookSidecars': '[]' }, '@on': ['Sidecar'] },
    ],
  ])
})

describe('Hyper-V', () => {
  const HYPERV = `${DOMAIN}.features.hyperv`
  const HV = `Invalid ${HYPERV}.domain.features.hyperv`
  const on = { enabled: true }
  const features = (hyperv: object) => ({ [HYPERV]: hyperv })
  const vmx = (policy: string) => ({ [`${DOMAIN}.cpu`]: { features: [{ name: 'vmx', policy }] } })
  const nested = features({ evmcs: on, vapic: on })
  testRules(NEW_VMI, [
    [
      'VMI-HV-001',
      { ...features({ evmcs: on }), ...vmx('require') },
      `${HV}.evmcs`,
      { ...nested, ...vmx('require') },
    ],
    ['VMI-HV-002', features({ ipi: on, vpindex: {} }), `${HV}.ipi`, features({ ipi: on, vpindex: on })],
    ['VMI-HV-003', features({ tlbflush: on }), `${HV}.tlbflush`, features({ tlbflush: on, vpindex: on })],
    [
      'VMI-HV-004',
      features({ synictimer: on }),
      `${HV}.synictimer`,
      features({ synictimer: on, synic: on, vpindex: on }),
    ],
    ['VMI-HV-005', features({ synic: on }), `${HV}.synic`, features({ synic: on, vpindex: on })],
    ['VMI-HV-006', nested, `Required ${DOMAIN}.cpu.features`, { ...nested, ...vmx('require') }],
    [
      'VMI-HV-007',
      { ...nested, ...vmx('optional') },
      `Invalid ${DOMAIN}.cpu.features[0].policy`,
      { ...nested, ...vmx('require') },
    ],
    [
      'VMI-HV-008',
      { ...features({}), [`${DOMAIN}.features.hypervPassthrough`]: {} },
      `Invalid ${HYPERV}`,
      features({}),
    ],
  ])
})

describe('architectures', () => {
  const on = (architecture: string, members: Edits): Edits => ({
    'spec.architecture': architecture,
    ...members,
  })
  const watchdog = (model: string) => ({ [`${DEVICES}.watchdog`]: { name: 'w', [model]: {} } })
  const video = (type: string) => ({ [`${DEVICES}.video`]: { type } })
  const disk = (target: object, source: object = { emptyDisk: { capacity: '1Gi' } }) => ({
    [`${DEVICES}.disks[0]`]: { name: 'd', ...target },
    'spec.volumes[0]': { name: 'd', ...source },
  })
  const claim = { persistentVolumeClaim: { claimName: 'c' } }
  const refused = (field: string) => `NotSupported ${field}`
  const BIOS = `${DOMAIN}.firmware.bootloader`
  testRules(NEW_VMI, [
    ['VMI-ARCH-001', on('riscv64', {}), 'Invalid spec.architecture', on('s390x', {})],
    ['VMI-ARCH-002', watchdog('diag288'), refused(`${DEVICES}.watchdog`), watchdog('i6300esb')],
    ['VMI-ARCH-003', video('qxl'), refused(`${DEVICES}.video.type`), video('bochs')],
    [
      'VMI-ARCH-004',
      on('s390x', watchdog('i6300esb')),
      refused(`${DEVICES}.watchdog`),
      on('s390x', watchdog('diag288')),
    ],
    [
      'VMI-ARCH-005',
      on('s390x', video('vga')),
      refused(`${DEVICES}.video.type`),
      on('s390x', video('virtio')),
    ],
    [
      'VMI-ARCH-006',
      on('arm64', { [BIOS]: { bios: {} } }),
      refused(`${BIOS}.bios`),
      on('arm64', { [BIOS]: { efi: { secureBoot: false } } }),
    ],
    [
      'VMI-ARCH-007',
      on('arm64', { [`${DOMAIN}.cpu.model`]: 'host-model' }),
      refused(`${DOMAIN}.cpu.model`),
      on('arm64', { [`${DOMAIN}.cpu.model`]: 'host-passthrough' }),
    ],
    [
      'VMI-ARCH-008',
      on('arm64', disk({ disk: { bus: 'sata' } })),
      refused(`${DEVICES}.disks[0].disk.bus`),
      on('arm64', disk({ disk: { bus: 'scsi' } })),
    ],
    [
      'VMI-ARCH-009',
      on('arm64', disk({ cdrom: { bus: 'sata' } })),
      refused(`${DEVICES}.disks[0].cdrom.bus`),
      on('arm64', disk({ cdrom: { bus: 'scsi' } })),
    ],
    [
      'VMI-ARCH-010',
      on('arm64', disk({ lun: { bus: 'sata' } }, claim)),
      refused(`${DEVICES}.disks[0].lun.bus`),
      on('arm64', disk({ lun: { bus: 'scsi' } }, claim)),
    ],
    ['VMI-ARCH-011', on('arm64', watchdog('i6300esb')), refused(`${DEVICES}.watchdog`), on('arm64', {})],
    [
      'VMI-ARCH-012',
      on('arm64', { [`${DEVICES}.sound`]: { name: 's' } }),
      refused(`${DEVICES}.sound`),
      on('arm64', {}),
    ],
    [
      'VMI-ARCH-013',
      on('arm64', video('vga')),
      refused(`${DEVICES}.video.type`),
      on('arm64', video('ramfb')),
    ],
  ])
})
