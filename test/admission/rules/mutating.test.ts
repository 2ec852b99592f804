/** Contract: admission-mutating.md, 1 to 5. */
import { describe, expect, test } from 'vitest'
import { kubeVirtUser } from '../../../src/admission/accounts.ts'
import { getMember, isRecord } from '../../../src/lib/json.ts'
import {
  complaintsOf,
  GUEST,
  mutated,
  NEW_VM,
  NEW_VMI,
  operationsOf,
  respond,
  stored,
  testRules,
  type Edits,
  type Response,
  type Subject,
} from '../../helpers/rule-cases.ts'

const VM: Subject = { ...NEW_VM, path: '/virtualmachines-mutate' }
const VMI: Subject = { ...NEW_VMI, path: '/virtualmachineinstances-mutate' }
const GONE = { 'metadata.deletionTimestamp': '2026-01-01T00:00:00Z' }
const BROKEN = { 'metadata.labels': { a: 1 } }
const ELSEWHERE = { '@request': { resource: { group: 'x', version: 'v1', resource: 'y' } } }

/** What stands at a path of an object. */
function at(object: unknown, path: string): unknown {
  const steps = [...path.matchAll(/[^.[\]]+/g)].map(([step]) => step.replaceAll('~', '.'))
  return steps.reduce<unknown>((value, step) => {
    if (Array.isArray(value)) return value[Number(step)]
    return isRecord(value) ? getMember(value, step) : undefined
  }, object)
}

/** A rule's id, what an object says, and what it becomes there; then what says otherwise already, and stays. */
type Default = readonly [id: string, edits: Edits, path: string, becomes: unknown, stays?: [Edits, unknown]]

function testDefaults(subject: Subject, cases: readonly Default[]): void {
  const expected = cases.flatMap(([id, edits, path, becomes, stays]) => [
    { id, edits, path, what: 'what is missing is given', becomes },
    ...(stays ? [{ id, edits: stays[0], path, what: 'anything else', becomes: stays[1] }] : []),
  ])
  test.each(expected)('$id: $what', async ({ edits, path, becomes }) => {
    expect(at(await mutated(subject, edits), path)).toEqual(becomes)
  })
}

describe('VMs', () => {
  const T = 'spec.template.spec'
  const FW = `${T}.domain.firmware`
  const TOPOLOGY = 'spec.template.metadata.annotations.kubevirt~io/pci-topology-version'
  const preference = stored('VirtualMachinePreference', 'p', {
    spec: {
      preferredArchitecture: 'arm64',
      machine: { preferredMachineType: 'virt-9' },
      volumes: { preferredStorageClassName: 'fast' },
    },
  })
  const prefers: Edits = {
    '@objects': [preference],
    'spec.preference': { kind: 'VirtualMachinePreference', name: 'p' },
    [`${T}.architecture`]: '',
  }
  const dataVolume = (storage: object) => ({
    ...prefers,
    'spec.dataVolumeTemplates': [{ metadata: { name: 'dv' }, spec: { storage } }],
  })
  const source = (name: string, labels: object) =>
    stored('DataSource', name, { metadata: { labels }, spec: { source: {} } })
  const fromSource = (...objects: object[]): Edits => ({
    [`${T}.architecture`]: '',
    'spec.dataVolumeTemplates': [
      { metadata: { name: 'dv' }, spec: { sourceRef: { kind: 'DataSource', name: 'ds' } } },
    ],
    '@objects': objects.map((object) => ({ ...object })),
  })
  testRules(VM, [
    ['MUT-VM-001', ELSEWHERE, '400'],
    ['MUT-VM-002', { 'spec.colour': 'red' }, ''],
    ['MUT-VM-003', BROKEN, '400'],
  ])
  testDefaults(VM, [
    [
      'MUT-VM-004',
      { ...GONE, [`${T}.architecture`]: '' },
      `${T}.architecture`,
      '',
      [{ [`${T}.architecture`]: '' }, 'amd64'],
    ],
    [
      'MUT-VM-020',
      prefers,
      `${T}.architecture`,
      'arm64',
      [{ ...prefers, [`${T}.architecture`]: 's390x' }, 's390x'],
    ],
    [
      'MUT-VM-021',
      prefers,
      `${T}.domain.machine.type`,
      'virt-9',
      [{ ...prefers, [`${T}.domain.machine`]: { type: 'virt' } }, 'virt'],
    ],
    [
      'MUT-VM-022',
      dataVolume({}),
      'spec.dataVolumeTemplates[0].spec.storage.storageClassName',
      'fast',
      [dataVolume({ storageClassName: '' }), ''],
    ],
    [
      'MUT-VM-030',
      {},
      FW,
      { uuid: 'uid-1', serial: 'uid-2' },
      [{ [FW]: { uuid: 'u', serial: 's' } }, { uuid: 'u', serial: 's' }],
    ],
    [
      'MUT-VM-031',
      fromSource(source('ds', { 'template.kubevirt.io/architecture': 's390x' })),
      `${T}.architecture`,
      's390x',
      [fromSource(source('ds', { 'template.kubevirt.io/architecture': 'riscv64' })), 'amd64'],
    ],
    [
      'MUT-VM-032',
      { [`${T}.architecture`]: '' },
      `${T}.architecture`,
      'amd64',
      [{ [`${T}.architecture`]: 'arm64' }, 'arm64'],
    ],
    [
      'MUT-VM-033',
      { [`${T}.architecture`]: 'arm64' },
      `${T}.domain.machine.type`,
      'virt',
      [{ [`${T}.domain.machine`]: { type: 'q35' } }, 'q35'],
    ],
    ['MUT-VM-034', {}, TOPOLOGY, 'v3', [{ [TOPOLOGY]: 'v2' }, 'v2']],
  ])

  test('MUT-VM-030, MUT-VM-034: not when it is changed', async () => {
    const object = await mutated(VM, { '@old': {} })
    expect([at(object, FW), at(object, TOPOLOGY)]).toEqual([undefined, undefined])
  })

  test('MUT-VM-035: the spec and the metadata, and nothing of the status', async () => {
    const operations = operationsOf(await respond(VM, { 'status.ready': true, 'metadata.labels': {} }))
    expect(operations.every(({ path }) => /^\/(spec|metadata)\//.test(path))).toBe(true)
    expect(operations).not.toEqual([])
  })
})

describe('what VMIs are given', () => {
  const D = 'spec.domain'
  const memory = (edits: Edits): Edits => ({ [`${D}.memory`]: undefined, ...edits })
  const bare: Edits = { [`${D}.devices`]: {}, 'spec.networks': undefined, 'spec.volumes': undefined }
  const image = (name: string) => ({ 'spec.volumes[0]': { name: 'd', containerDisk: { image: name } } })
  const POLICY = 'spec.volumes[0].containerDisk.imagePullPolicy'
  testDefaults(VMI, [
    [
      'MUT-SPEC-001',
      { 'spec.architecture': '' },
      'spec.architecture',
      'amd64',
      [{ 'spec.architecture': 'arm64' }, 'arm64'],
    ],
    [
      'MUT-SPEC-002',
      {},
      `${D}.machine.type`,
      'q35',
      [{ [`${D}.machine`]: { type: 'pc-q35-9' } }, 'pc-q35-9'],
    ],
    [
      'MUT-SPEC-003',
      { [`${D}.resources.limits.cpu`]: '2' },
      `${D}.resources.requests.cpu`,
      '2',
      [{ [`${D}.resources`]: { limits: { cpu: '2' }, requests: { cpu: '1' } } }, '1'],
    ],
    [
      'MUT-SPEC-004',
      { '@configuration': { cpuRequest: '200m' } },
      `${D}.resources.requests.cpu`,
      '200m',
      [
        { '@configuration': { cpuRequest: '200m' }, [`${D}.cpu`]: { dedicatedCpuPlacement: true } },
        undefined,
      ],
    ],
    [
      'MUT-SPEC-005',
      memory({ [`${D}.resources.limits.memory`]: '2048Mi' }),
      `${D}.memory.guest`,
      '2Gi',
      [memory({ [`${D}.memory`]: { hugepages: { pageSize: '2Mi' } } }), '2Mi'],
    ],
    [
      'MUT-SPEC-006',
      { [`${D}.resources.requests.cpu`]: '1500m' },
      `${D}.cpu.sockets`,
      2,
      [{ [`${D}.cpu`]: { threads: 2 } }, undefined],
    ],
    ['MUT-SPEC-007', image('a:latest'), POLICY, 'Always', [image('a:1'), 'IfNotPresent']],
    [
      'MUT-SPEC-008',
      {},
      'spec.evictionStrategy',
      'None',
      [{ 'spec.evictionStrategy': 'External' }, 'External'],
    ],
    [
      'MUT-SPEC-009',
      bare,
      `${D}.devices.interfaces`,
      [{ name: 'default', bridge: {} }],
      [{ ...bare, [`${D}.devices.autoattachPodInterface`]: false }, undefined],
    ],
    [
      'MUT-SPEC-010',
      { 'spec.volumes[1]': { name: 'e', emptyDisk: { capacity: '1Gi' } } },
      `${D}.devices.disks[1].name`,
      'e',
      [{ 'spec.volumes[1]': { name: 'd', emptyDisk: { capacity: '1Gi' } } }, undefined],
    ],
  ])

  const PROBE = 'spec.readinessProbe'
  const FEATURES = `${D}.features`
  const disk = (members: object) => ({ [`${D}.devices.disks[0]`]: { name: 'd', ...members } })
  const input = (members: object) => ({ [`${D}.devices.inputs`]: [{ name: 't', ...members }] })
  const ramFB = (members: object) => ({
    [`${D}.devices.gpus`]: [
      { name: 'g', deviceName: 'x', virtualGPUOptions: { display: { ramFB: members } } },
    ],
  })
  testDefaults(VMI, [
    [
      'MUT-OBJ-001',
      { 'spec.architecture': 's390x' },
      `${FEATURES}.acpi.enabled`,
      false,
      [{ 'spec.architecture': 's390x', [FEATURES]: { acpi: { enabled: true } } }, true],
    ],
    [
      'MUT-OBJ-002',
      {},
      `${D}.firmware`,
      { uuid: 'uid-1' },
      [{ [`${D}.firmware`]: { uuid: 'u' } }, { uuid: 'u' }],
    ],
    ['MUT-OBJ-003', disk({}), `${D}.devices.disks[0].disk`, { bus: 'sata' }, [disk({ lun: {} }), undefined]],
    [
      'MUT-OBJ-004',
      input({}),
      `${D}.devices.inputs[0]`,
      { name: 't', bus: 'usb', type: 'tablet' },
      [input({ bus: 'virtio' }), { name: 't', bus: 'virtio', type: 'tablet' }],
    ],
    [
      'MUT-OBJ-005',
      { [PROBE]: { exec: {} } },
      PROBE,
      { exec: {}, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
      [
        {
          [PROBE]: {
            exec: {},
            timeoutSeconds: 2,
            periodSeconds: 3,
            successThreshold: 4,
            failureThreshold: 5,
          },
        },
        { exec: {}, timeoutSeconds: 2, periodSeconds: 3, successThreshold: 4, failureThreshold: 5 },
      ],
    ],
    [
      'MUT-OBJ-006',
      {},
      `${D}.firmware.uuid`,
      'uid-1',
      [{ [`${D}.firmware`]: { uuid: 'u', serial: 's' } }, 'u'],
    ],
    [
      'MUT-OBJ-007',
      { [`${D}.clock`]: { timer: { pit: {} } } },
      `${D}.clock.timer.pit.present`,
      true,
      [{ [`${D}.clock`]: { timer: { pit: { present: false } } } }, false],
    ],
    [
      'MUT-OBJ-008',
      {},
      `${FEATURES}.acpi`,
      { enabled: true },
      [{ [FEATURES]: { acpi: { enabled: false } } }, { enabled: false }],
    ],
    [
      'MUT-OBJ-009',
      { [FEATURES]: { hyperv: { tlbflush: { direct: {} } }, kvm: {} } },
      `${FEATURES}.hyperv.tlbflush`,
      { enabled: true, direct: { enabled: true } },
      [{ [FEATURES]: { hyperv: { tlbflush: { enabled: false } } } }, { enabled: false }],
    ],
    [
      'MUT-OBJ-010',
      { [FEATURES]: { hyperv: { spinlocks: {} } } },
      `${FEATURES}.hyperv.spinlocks.spinlocks`,
      4096,
      [{ [FEATURES]: { hyperv: { spinlocks: { spinlocks: 8191 } } } }, 8191],
    ],
    [
      'MUT-OBJ-011',
      disk({ cdrom: {} }),
      `${D}.devices.disks[0].cdrom`,
      { readonly: true, tray: 'closed', bus: 'sata' },
      [
        disk({ cdrom: { readonly: false, tray: 'open', bus: 'scsi' } }),
        { readonly: false, tray: 'open', bus: 'scsi' },
      ],
    ],
    [
      'MUT-OBJ-012',
      disk({ disk: {}, blockSize: { matchVolume: {} } }),
      `${D}.devices.disks[0].blockSize.matchVolume.enabled`,
      true,
      [disk({ disk: {}, blockSize: { matchVolume: { enabled: false } } }), false],
    ],
    [
      'MUT-OBJ-013',
      ramFB({}),
      `${D}.devices.gpus[0].virtualGPUOptions.display.ramFB.enabled`,
      true,
      [ramFB({ enabled: false }), false],
    ],
  ])

  const hyperv = (members: object) => ({ [FEATURES]: { hyperv: members } })
  const on = { enabled: true }
  testDefaults(VMI, [
    [
      'MUT-HV-001',
      hyperv({ synictimer: on }),
      `${FEATURES}.hyperv.vpindex`,
      on,
      [hyperv({ relaxed: on }), undefined],
    ],
    [
      'MUT-HV-002',
      hyperv({ evmcs: on, vapic: { enabled: false }, ipi: on }),
      `${FEATURES}.hyperv.vpindex`,
      undefined,
      [hyperv({ evmcs: on, ipi: on }), on],
    ],
    [
      'MUT-HV-003',
      hyperv({ evmcs: on }),
      `${D}.cpu.features`,
      [{ name: 'vmx', policy: 'require' }],
      [hyperv({ relaxed: on }), undefined],
    ],
  ])

  const arm: Edits = { 'spec.architecture': 'arm64', ...disk({ disk: {} }) }
  const s390: Edits = { 'spec.architecture': 's390x', ...disk({ disk: {} }) }
  const WATCHDOG = `${D}.devices.watchdog`
  const BUS = `${D}.devices.disks[0].disk.bus`
  testDefaults(VMI, [
    [
      'MUT-ARCH-001',
      arm,
      `${D}.cpu.model`,
      'host-passthrough',
      [{ ...arm, [`${D}.cpu`]: { model: 'max' } }, 'max'],
    ],
    [
      'MUT-ARCH-002',
      arm,
      `${D}.firmware.bootloader`,
      { efi: { secureBoot: false } },
      [{ ...arm, [`${D}.firmware.bootloader`]: { bios: {} } }, { bios: {} }],
    ],
    ['MUT-ARCH-003', arm, BUS, 'virtio', [{ ...arm, [BUS]: 'scsi' }, 'scsi']],
    ['MUT-ARCH-004', s390, BUS, 'virtio', [{ ...s390, [BUS]: 'scsi' }, 'scsi']],
    [
      'MUT-ARCH-005',
      { ...s390, [WATCHDOG]: { name: 'w' } },
      WATCHDOG,
      { name: 'w', diag288: { action: 'reset' } },
      [
        { ...s390, [WATCHDOG]: { name: 'w', diag288: { action: 'shutdown' } } },
        { name: 'w', diag288: { action: 'shutdown' } },
      ],
    ],
    ['MUT-ARCH-006', disk({ disk: {} }), BUS, 'sata', [{}, 'virtio']],
    [
      'MUT-ARCH-007',
      { [WATCHDOG]: { name: 'w' } },
      WATCHDOG,
      { name: 'w', i6300esb: { action: 'reset' } },
      [
        { [WATCHDOG]: { name: 'w', i6300esb: { action: 'poweroff' } } },
        { name: 'w', i6300esb: { action: 'poweroff' } },
      ],
    ],
    [
      'MUT-ARCH-008',
      {},
      `${D}.cpu.model`,
      'host-model',
      [{ '@configuration': { cpuModel: 'Haswell' } }, 'Haswell'],
    ],
  ])

  const live = (members: object): Edits => ({ '@configuration': { liveUpdateConfiguration: members } })
  const cpu = (members: object) => ({ [`${D}.cpu`]: members })
  const big = { [`${D}.memory`]: { guest: '2Gi' } }
  const SOCKETS = `${D}.cpu.maxSockets`
  testDefaults(VMI, [
    [
      'MUT-VMI-030',
      big,
      'status.memory',
      { guestAtBoot: '2Gi', guestCurrent: '2Gi', guestRequested: '2Gi' },
      [memory({}), undefined],
    ],
    [
      'MUT-VMI-031',
      cpu({ cores: 2, sockets: 1 }),
      'status.currentCPUTopology',
      { cores: 2, sockets: 1 },
      [{ 'status.currentCPUTopology': { cores: 8 } }, { cores: 8 }],
    ],
    ['MUT-VMI-032', {}, SOCKETS, 4, [{ 'spec.architecture': 'arm64' }, undefined]],
    [
      'MUT-VMI-033',
      { ...live({ maxCpuSockets: 2 }), ...cpu({ sockets: 3 }) },
      SOCKETS,
      3,
      [{ ...live({ maxCpuSockets: 6 }), ...cpu({ sockets: 3 }) }, 6],
    ],
    [
      'MUT-VMI-034',
      cpu({ sockets: 100, cores: 2, threads: 1 }),
      SOCKETS,
      256,
      [{ ...live({ maxHotplugRatio: 2 }), ...cpu({ sockets: 3, cores: 1, threads: 1 }) }, 6],
    ],
    ['MUT-VMI-035', big, `${D}.memory.maxGuest`, '8Gi', [{ ...big, ...live({ maxGuest: '3Gi' }) }, '3Gi']],
    [
      'MUT-VMI-035: a small guest keeps what it has',
      { [`${D}.memory`]: { guest: '512Mi' } },
      `${D}.memory.maxGuest`,
      undefined,
    ],
  ])

  const TOPOLOGY = 'metadata.annotations.kubevirt~io/pci-topology-version'
  const PARITY = 'alpha.kubevirt.io/EmulatorThreadCompleteToEvenParity'
  const PARITY_PATH = `metadata.annotations.${PARITY.replaceAll('.', '~')}`
  const isolating = cpu({ cores: 1, dedicatedCpuPlacement: true, isolateEmulatorThread: true })
  const isolated: Edits = { '@annotations': { [PARITY]: 'yes' }, ...isolating }
  const aligned: Edits = { ...isolated, '@on': ['AlignCPUs'] }
  const tdx = { [`${D}.launchSecurity`]: { tdx: {} } }
  const SOCKET = 'metadata.annotations.kubevirt~io/qgs-socket-path'
  const qgs = (qgsSocketPath: string) => ({
    ...tdx,
    '@configuration': { confidentialCompute: { tdx: { attestation: { qgsSocketPath } } } },
  })
  const pending = { phase: 'Pending', phaseTransitionTimestamp: '2026-01-01T00:00:00Z' }
  testDefaults(VMI, [
    ['MUT-VMI-040', {}, TOPOLOGY, 'v3', [{ [TOPOLOGY]: 'v2' }, 'v2']],
    ['MUT-VMI-041', aligned, PARITY_PATH, '', [isolated, undefined]],
    [
      'MUT-VMI-041: whatever it said',
      { ...aligned, [PARITY_PATH]: 'no' },
      PARITY_PATH,
      '',
      // The KubeVirt object says nothing.
      [{ ...isolating, '@on': ['AlignCPUs'] }, undefined],
    ],
    [
      'MUT-VMI-041: threads that share',
      { ...aligned, ...cpu({ cores: 1, dedicatedCpuPlacement: true, isolateEmulatorThread: false }) },
      PARITY_PATH,
      undefined,
    ],
    ['MUT-VMI-042', tdx, SOCKET, '/var/run/tdx-qgs/qgs.socket', [qgs(''), undefined]],
    ['MUT-VMI-042: another path', qgs('/run/q'), SOCKET, '/run/q', [{}, undefined]],
    ['MUT-VMI-042: whatever it said', { ...qgs('/run/q'), [SOCKET]: '/run/other' }, SOCKET, '/run/q'],
    ['MUT-VMI-043', {}, 'status.runtimeUser', 107, [{ '@on': ['Root'] }, 0]],
    [
      'MUT-VMI-044',
      { 'metadata.finalizers': ['a'] },
      'metadata.finalizers',
      ['a', 'kubevirt.io/foregroundDeleteVirtualMachine'],
    ],
    ['MUT-VMI-045', {}, 'status.phaseTransitionTimestamps', [pending]],
  ])
})

describe('presets', () => {
  const preset = (name: string, domain: object, selector: object = { matchLabels: { app: 'a' } }) =>
    stored('VirtualMachineInstancePreset', name, { spec: { selector, domain } })
  const chosen = (...presets: object[]): Edits => ({
    'metadata.labels': { app: 'a' },
    '@objects': presets.map((object) => ({ ...object })),
  })
  const CORES = 'spec.domain.cpu.cores'
  const two = preset('two', { cpu: { cores: 2 } })
  const rng = preset('rng', { devices: { rng: {} } })
  const APPLIED = 'metadata.annotations.virtualmachinepreset~kubevirt~io/two'
  testDefaults(VMI, [
    [
      'MUT-PRE-001',
      {
        ...chosen(two),
        'metadata.annotations': { 'virtualmachineinstancepresets.admission.kubevirt.io/exclude': 'true' },
      },
      CORES,
      1,
      [chosen(two), 2],
    ],
    [
      'MUT-PRE-002',
      chosen(preset('all', { cpu: { cores: 3 } }, {})),
      CORES,
      3,
      [{ ...chosen(two), 'metadata.labels': {} }, 1],
    ],
    ['MUT-PRE-005', chosen(two), CORES, 2, [{ ...chosen(two), 'spec.domain.cpu': { cores: 4 } }, 4]],
    [
      'MUT-PRE-006',
      chosen(two),
      APPLIED,
      'kubevirt.io/v1',
      [{ ...chosen(two), 'spec.domain.cpu': { cores: 4 } }, undefined],
    ],
    ['MUT-PRE-006: what a preset cannot bring', chosen(rng), 'spec.domain.devices.rng', undefined],
  ])
  const contradicting = chosen(two, preset('three', { cpu: { cores: 3 } }))
  testRules(VMI, [
    [
      'MUT-PRE-003',
      chosen(preset('odd', {}, { matchExpressions: [{ key: 'a', operator: 'Like' }] })),
      '422',
      chosen(two),
    ],
    ['MUT-PRE-004', contradicting, '422', { ...contradicting, 'metadata.labels': {} }],
    ['MUT-VMI-020', contradicting, '422', chosen(two)],
  ])

  test('MUT-VMI-023: they are deprecated, and whoever gets one is told', async () => {
    const { warnings } = await respond(VMI, chosen(two))
    expect(warnings).toEqual([expect.stringContaining('deprecated')])
    expect(await respond(VMI, chosen(rng))).not.toHaveProperty('warnings')
  })

  test('ADM-DENY-005: a contradiction has neither a reason nor causes', async () => {
    const { status } = await respond(VMI, contradicting)
    expect(status).toEqual({ metadata: {}, code: 422, message: expect.stringContaining('contradict') })
  })
})

describe('the rest of VMIs', () => {
  const bare = { 'spec.domain.devices': {}, 'spec.networks': undefined, 'spec.volumes': undefined }
  const slirp = { ...bare, '@configuration': { network: { defaultNetworkInterface: 'slirp' } } }
  testRules(VMI, [
    ['MUT-VMI-001', ELSEWHERE, '400'],
    ['MUT-VMI-002', { 'spec.colour': 'red' }, ''],
    ['MUT-VMI-003', BROKEN, '400'],
    ['MUT-VMI-021', slirp, '400', bare],
  ])

  test('MUT-VMI-010: nobody else says how a guest is', async () => {
    const edits = { '@old': { 'status.phase': 'Running' }, 'status.phase': 'Failed', 'spec.hostname': 'x' }
    expect(await mutated(VMI, edits)).toMatchObject({ status: { phase: 'Running' }, spec: { hostname: 'x' } })
    const user = { '@user': { username: kubeVirtUser('controller').name } }
    expect(await mutated(VMI, { ...edits, ...user })).toMatchObject({ status: { phase: 'Failed' } })
  })

  test('MUT-VMI-011: an update that says nothing about the status has no patch', async () => {
    expect(operationsOf(await respond(VMI, { '@old': {}, 'metadata.labels': { a: 'b' } }))).toEqual([])
  })

  test('MUT-VMI-022: the spec, the metadata, then the status', async () => {
    const sections = operationsOf(await respond(VMI, {})).map(({ path }) => path.split('/')[1])
    expect([...new Set(sections)]).toEqual(['spec', 'metadata', 'status'])
  })
})

describe('migrations', () => {
  const MIGRATION: Subject = {
    group: 'kubevirt.io',
    version: 'v1',
    resource: 'virtualmachineinstancemigrations',
    path: '/migration-mutate-create',
    object: {
      kind: 'VirtualMachineInstanceMigration',
      apiVersion: 'kubevirt.io/v1',
      metadata: { name: 'm', namespace: 'default' },
      spec: { vmiName: 'a' },
    },
  }
  testRules(MIGRATION, [['MUT-MIG-001', ELSEWHERE, '400']])
  testDefaults(MIGRATION, [
    ['MUT-MIG-002', {}, 'metadata.labels', { 'kubevirt.io/vmi-name': 'a' }],
    ['MUT-MIG-003', {}, 'metadata.finalizers', ['kubevirt.io/migrationJobFinalize']],
  ])

  test('MUT-MIG-004: the metadata alone', async () => {
    const paths = operationsOf(await respond(MIGRATION, {})).map(({ path }) => path)
    expect(paths.every((path) => path.startsWith('/metadata'))).toBe(true)
  })
})

describe('clones', () => {
  const CLONE: Subject = {
    group: 'clone.kubevirt.io',
    version: 'v1beta1',
    resource: 'virtualmachineclones',
    path: '/vm-clone-mutate-create',
    object: {
      kind: 'VirtualMachineClone',
      apiVersion: 'clone.kubevirt.io/v1beta1',
      metadata: { name: 'c', namespace: 'default' },
      spec: { source: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'vm' }, template: {} },
    },
  }
  testRules(CLONE, [['MUT-CLN-001', ELSEWHERE, '400']])
  const generated: unknown = expect.stringMatching(/^clone-vm-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  testDefaults(CLONE, [
    ['MUT-CLN-002', {}, 'spec.target', { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: generated }],
    [
      'MUT-CLN-003',
      { 'spec.target': { kind: 'X', name: '' } },
      'spec.target',
      { kind: 'X', name: generated },
    ],
    [
      'MUT-CLN-004',
      {},
      'spec.target.name',
      generated,
      [{ 'spec.target': { kind: 'X', name: 'mine' } }, 'mine'],
    ],
  ])

  test('MUT-CLN-005: what is named needs nothing', async () => {
    const edits = { 'spec.target': { kind: 'VirtualMachine', name: 'mine' } }
    expect(await respond(CLONE, edits)).toEqual({ uid: 'u-1', allowed: true })
  })

  test('MUT-CLN-006: the spec alone', async () => {
    const paths = operationsOf(await respond(CLONE, { 'spec.template': undefined })).map(({ path }) => path)
    expect(paths).toEqual(['/spec/template', '/spec/target'])
  })
})

describe('patches', () => {
  const limits = (memory: unknown) => ({ 'spec.domain.resources.limits': { memory } })
  const LIMIT = 'spec.domain.resources.limits.memory'
  testDefaults(VMI, [
    ['MUT-P-003', {}, 'status.guestOSInfo', {}],
    ['MUT-P-004', limits('1.5Gi'), LIMIT, '1536Mi', [limits('1Gi'), '1Gi']],
    ['MUT-P-004', limits(67_108_864), LIMIT, '67108864'],
    [
      'MUT-P-005',
      { 'spec.networks[0].pod': { vmNetworkCIDR: '010.0.02.1/24' } },
      'spec.networks[0].pod.vmNetworkCIDR',
      '10.0.2.1/24',
    ],
    ['MUT-P-006', { 'metadata.generateName': 'x', 'metadata.colour': 'red' }, 'metadata.colour', undefined],
  ])

  test('MUT-P-001: base64 of a JSON patch, and none where nothing is changed', async () => {
    const response = await respond(VM, {})
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch' })
    const again = await respond({ ...VM, object: await mutated(VM, {}) }, {})
    expect(again).toEqual({ uid: 'u-1', allowed: true })
  })

  test('MUT-P-002: members are changed one by one, not whole sections: what is not touched stays as it is', async () => {
    for (const { path } of operationsOf(await respond(VM, {})))
      expect(path.split('/').length).toBeGreaterThan(2)
  })

  test('MUT-P-007: the order of members makes no difference', async () => {
    const shuffled = {
      ...VM,
      object: { ...VM.object, spec: { template: { spec: GUEST, metadata: {} }, runStrategy: 'Halted' } },
    }
    const texts = (response: Response) =>
      operationsOf(response)
        .map((operation) => JSON.stringify(operation))
        .toSorted()
    expect(texts(await respond(shuffled, {}))).toEqual(texts(await respond(VM, {})))
  })

  test('MUT-P-008: what is random is given once', async () => {
    const once = await mutated(VMI, {})
    expect(at(await mutated({ ...VMI, object: once }, {}), 'spec.domain.firmware.uuid')).toBe('uid-1')
  })
})

// Contract: MUT-VM-005 … 014 stand in test/admission/vm-instancetype.test.ts.
test('what a mutating webhook refuses, it does not change', async () => {
  expect(await complaintsOf(VM, { 'spec.instancetype': {} })).toEqual(['NotFound spec.instancetype'])
})
